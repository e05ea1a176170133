"""Chinese words by jieba, an optional package."""

from __future__ import annotations

import importlib
import os
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Literal

from elanus.errors import loading
from elanus.text._cjk import ngrams
from elanus.text._tokenizers import Tokenizer, standard
from elanus.text._unicode import HAN

CutMode = Literal["exact", "search"]

_MISSING = (
    "the analyzer's tokenizer 'jieba' needs the package jieba: "
    "pip install jieba (the extra elanus[jieba]), or use the analyzer 'standard', "
    "which splits Chinese into single characters and pairs"
)
_HAN_RUN = f"([{HAN}]+)"
# One that a signal handler may take again, on top of the call that holds it.
_loading = threading.RLock()


def jieba_tokenizer(words: tuple[str, ...], mode: CutMode, hmm: bool) -> Tokenizer:
    """The standard tokenizer, with runs of Han characters cut into dictionary words.

    jieba sees Han characters only. It would take other scripts apart letter by letter, and emit
    spaces and punctuation; those go the way of `standard` instead.

    Args:
        words: words to know beside jieba's own dictionary.
        mode: ``search`` also emits the shorter words inside a long one; ``exact`` does not.
        hmm: whether words that no dictionary has are guessed.

    Raises:
        MissingExtraError: jieba is not installed.
        StorageError: no more files can be opened.
    """
    dictionary = _dictionary(words)
    cut = dictionary.cut_for_search if mode == "search" else dictionary.cut
    return standard(lambda run: _cut(run, lambda han: cut(han, HMM=hmm)))


def _cut(run: str, cut_han: Callable[[str], Iterator[str]]) -> Iterator[str]:
    for at, part in enumerate(re.split(_HAN_RUN, run)):
        yield from cut_han(part) if at % 2 else ngrams(part)


def _after_fork_in_child() -> None:
    """The thread that held the lock is not there."""
    global _loading  # noqa: PLW0603
    _loading = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _dictionary(words: tuple[str, ...]) -> Any:
    with _loading:  # also because catch_warnings is global
        return _load(words)


@lru_cache(maxsize=4)
def _load(words: tuple[str, ...]) -> Any:
    with warnings.catch_warnings(), loading("jieba", _MISSING):
        # jieba 0.42 has invalid escapes in its source, and asks pkg_resources for its data.
        warnings.simplefilter("ignore")
        tokenizer = importlib.import_module("jieba").Tokenizer()
        # Not tokenizer.initialize(): that logs to stderr, and trusts and writes a file of a fixed
        # name in the shared temporary folder. Reading the dictionary itself takes a second.
        tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    for word in words:
        tokenizer.add_word(word)
    return tokenizer

"""Stop words: the lists, and the reading of their names, as Milvus's ``_english_``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from elanus.text._options import unknown

# The short list that English search engines share. Question words are not on it: a document keeps
# them, as a title may consist of them.
_ENGLISH = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then "
    "there these they this to was will with"
)

# What only says that something is asked. BM25 does not weigh it down by itself: where questions are
# rare among the documents, "what" is as rare as a name.
_QUESTIONS = (
    "what which who whom whose when where why how do does did "
    "tell me about please you i my we give show explain "
    "have has had"
)

_LISTS = {
    "_english_": frozenset(_ENGLISH.split()),
    "_questions_": frozenset(_QUESTIONS.split()),
}
_LIST_NAME = re.compile(r"_[^\W_]+_")


def resolve_stop_words(words: Iterable[str]) -> frozenset[str]:
    """Words as given, and the words of each list that is named between underscores.

    Raises:
        ParamError: a list of that name does not exist.
    """
    return frozenset(word for name in words for word in _resolve(name))


def _resolve(name: str) -> Iterable[str]:
    if not _LIST_NAME.fullmatch(name):
        return (name,)
    if name not in _LISTS:
        raise unknown("list of stop words", name, _LISTS)
    return _LISTS[name]

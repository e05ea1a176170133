"""The file that BM25's statistics are kept in: that of pymilvus's class, version v1."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from elanus.arguments import members, number, whole
from elanus.errors import ParamError, cut, quoted, shown

VERSION = "v1"

_KEYS = {"corpus_size", "avgdl", "idf_word", "idf_value", "k1", "b", "epsilon"}
# Far beyond any use, and small enough for products of them and of counts to be finite.
_LARGEST = 1e30
_LARGEST_IDF = 1e32
_LONGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Parameters:
    """The numbers of the formula; ``BM25EmbeddingFunction`` says what they mean."""

    k1: float
    b: float
    epsilon: float


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is known of a corpus.

    Attributes:
        places: the vocabulary, each term with its number.
        idf: (terms,) what a term is worth; negative where the mean of all is.
        size: texts of the corpus.
        length: terms of a text, on average.
    """

    places: dict[str, int]
    idf: npt.NDArray[np.float64]
    size: int
    length: float


def checked_parameters(k1: Any, b: Any, epsilon: Any) -> Parameters:
    """The parameters, each in its range.

    Raises:
        ParamError: naming the one that is not.
    """
    return Parameters(
        float(number("k1", k1, 0, _LARGEST)),
        float(number("b", b, 0, 1)),
        float(number("epsilon", epsilon, 0, _LARGEST)),
    )


def read_file(path: Path, analyzer: str | None) -> tuple[Parameters, Statistics]:
    """What a file holds, all of it checked.

    Args:
        path: the file.
        analyzer: identity of the one in use; a file may say that it is of another.

    Raises:
        ParamError: naming the file and what is wrong with it.
    """
    try:
        state = _as_state(path.read_text(encoding="utf-8"))
        parameters = checked_parameters(*(state[key] for key in ("k1", "b", "epsilon")))
        statistics = _as_statistics(state)
    except OSError as error:
        raise ParamError(f"BM25 statistics {quoted(str(path))}: {error.strerror}") from error
    except ValueError as error:  # of reading, of UTF-8, or a ParamError
        raise ParamError(f"BM25 statistics {quoted(str(path))}: {error}") from error
    if state.get("analyzer", analyzer) != analyzer:
        raise ParamError(
            f"{quoted(str(path))} was made with analyzer {quoted(state['analyzer'])}, "
            f"not {quoted(analyzer)}; give that one to BM25EmbeddingFunction"
        )
    return parameters, statistics


def _as_state(content: str) -> Mapping[str, Any]:
    try:
        state = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ParamError(f"it is no JSON: {cut(str(error))}") from error
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise ParamError(f"it is not of version {VERSION}")
    lacking = _KEYS - set(state)
    if lacking:
        raise ParamError(f"it is incomplete: without {sorted(lacking)}")
    return state


def _as_statistics(state: Mapping[str, Any]) -> Statistics:
    places = _as_places(members("idf_word", "a list of words", state["idf_word"]))
    values = members("idf_value", "a list of numbers", state["idf_value"])
    if len(values) != len(places):
        raise ParamError(f"idf_word and idf_value differ in number: {len(places)}, {len(values)}")
    idf = [
        number(f"idf_value[{i}]", value, -_LARGEST_IDF, _LARGEST_IDF)
        for i, value in enumerate(values)
    ]
    size = whole("corpus_size", state["corpus_size"], 1)
    # A corpus with a vocabulary has a term at least.
    length = float(number("avgdl", state["avgdl"], 1 / size, _LONGEST))
    return Statistics(places, np.array(idf, dtype=np.float64), size, length)


def _as_places(words: Sequence[Any]) -> dict[str, int]:
    if not words:
        raise ParamError("idf_word must be a list of words, got an empty one")
    places: dict[str, int] = {}
    for i, word in enumerate(words):
        if not isinstance(word, str):
            raise ParamError(f"idf_word[{i}] must be a string, got {shown(word)}")
        if places.setdefault(word, i) != i:
            raise ParamError(
                f"idf_word[{i}] is the word of idf_word[{places[word]}]: {shown(word)}"
            )
    return places

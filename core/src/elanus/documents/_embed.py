"""From the texts of documents to vectors: blank ones, and those that are longer than a model reads.

An embedding function sees neither. A blank text has the vector zero. A long one is given to it in
parts, if the function says which, and has the mean of their vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.aio import Flow, run, step, step_of
from elanus.documents._values import LONG_TEXTS, EmbeddingFunction
from elanus.errors import (
    ElanusWarning,
    EmbeddingError,
    ParamError,
    quoted,
    reading,
    shown,
    warn,
)
from elanus.schema import as_query, checked_vectors, choice, is_blank

Vectors = NDArray[np.float32]

_AT_ONCE = 128
# By how much the length of a vector of unit length may differ from 1: half precision, rounded.
_UNIT_WITHIN = 1e-3


class LongTextWarning(ElanusWarning):
    """Texts were longer than the model reads at once, and were embedded by their parts."""


class Embedder:
    """Has the texts of documents embedded, and warns of long ones once.

    Stores embed by it, and so do the adapters' own models: the same texts have the same vectors.

    Args:
        embedding: the embedding function.
        dim: components of its vectors; None asks the function, if all texts are blank.

    Raises:
        ParamError: if the function's ``long_texts`` is none of the known values, or it or
            ``split_documents`` cannot be read.
    """

    def __init__(self, embedding: EmbeddingFunction, dim: int | None = None) -> None:
        self._embedding = embedding
        self._dim = dim
        name = f"embedding {quoted(embedding.name)}"
        with reading(name, "split_documents or long_texts"):
            splits = callable(getattr(embedding, "split_documents", None))
            asked = getattr(embedding, "long_texts", None) if splits else "cut"
        if asked is not None:
            asked = choice(f"{name}: long_texts", asked, LONG_TEXTS)
        self._long_texts: str | None = asked

    def batches(
        self, texts: Sequence[str], places: Sequence[int] | None = None
    ) -> Iterator[tuple[slice, Vectors]]:
        """Embed texts, about 128 or as many parts at a time.

        Args:
            texts: any number of them.
            places: where each is in the caller's list, for errors; where it is in ``texts`` if
                they are left out.

        Yields:
            Which texts, and their vectors (n, dim); in order, as soon as they are known. What was
            embedded before an error is yielded before that is raised.

        Raises:
            EmbeddingError: of the function, with places of the caller's list.
            DataNotMatchException: if it gives anything but vectors.
        """
        numbers = range(len(texts)) if places is None else places
        long = 0
        for start in range(0, len(texts), _AT_ONCE):
            at_once = slice(start, start + _AT_ONCE)
            units = self._units(texts[at_once], numbers[at_once])
            long += sum(len(parts) > 1 for parts in units)
            for first, stop in _runs([len(parts) for parts in units]):
                done = start + first
                part = numbers[done : start + stop]
                try:
                    vectors = run(self._encode(units[first:stop], part))
                except EmbeddingError as error:
                    made, error.made = error.made, None
                    if made is not None:
                        yield slice(done, done + len(made)), made
                    raise
                yield slice(done, start + stop), vectors
        self._warn(long, len(texts))

    def flow(self, texts: Sequence[str], places: Sequence[int] | None = None) -> Flow[Vectors]:
        """Embed texts in one call of the function, or of its coroutine where that is asked for.

        Args:
            texts: any number of them.
            places: as for ``batches``.

        Returns:
            (n, dim): their vectors.

        Raises:
            EmbeddingError: of the function, with places of the caller's list; what was embedded
                before is in its ``made``.
            DataNotMatchException: if it gives anything but vectors.
            ParamError: if all texts are blank, and the function does not know its dimension.
        """
        numbers = range(len(texts)) if places is None else places
        units: list[list[str]] = yield step(self._units, None, texts, numbers)
        vectors = yield from self._encode(units, numbers)
        self._warn(sum(len(parts) > 1 for parts in units), len(texts))
        return vectors

    def query_flow(self, query: str) -> Flow[Vectors]:
        """Embed a query, by the function's coroutine where that is asked for.

        Returns:
            (1, dim): its vector.

        Raises:
            EmbeddingError: if the function fails.
            DataNotMatchException: if it gives anything but a vector.
        """
        name, call = self._embedding.name, "encode_queries"
        with EmbeddingError.around(name, call):
            found = yield from _answer(self._embedding, call, [as_query("query", query)])
            return checked_vectors(f"{name}.{call}", found, 1, self._dim)

    def _warn(self, long: int, count: int) -> None:
        if not long or self._long_texts is not None:
            return
        self._long_texts = "parts"  # it is said once
        message = (
            f"{long:,} of {count:,} texts are longer than {quoted(self._embedding.name)} "
            "reads at once: they were embedded by their parts, and each has the mean of their "
            "vectors. Say that this is meant by long_texts='parts' of the embedding function, "
            "or have their beginnings alone embedded by long_texts='cut'"
        )
        warn(LongTextWarning(message))

    def _units(self, texts: Sequence[str], places: Sequence[int]) -> list[list[str]]:
        """What to embed for each text: its parts, itself, or nothing if it is blank."""
        filled = [i for i, text in enumerate(texts) if not is_blank(text)]
        given = [texts[i] for i in filled]
        found = [[text] for text in given]
        if given and self._long_texts != "cut":
            try:
                found = _checked_parts(self._embedding, given)
            except EmbeddingError as error:
                error.renumber([places[i] for i in filled])
                raise
        units: list[list[str]] = [[] for _ in texts]
        for i, parts in zip(filled, found, strict=True):
            units[i] = parts
        return units

    def _encode(self, units: Sequence[list[str]], places: Sequence[int]) -> Flow[Vectors]:
        """The vectors of texts in parts; those of the first texts go with an error."""
        counts = np.array([len(parts) for parts in units], dtype=np.int64)
        given = [part for parts in units for part in parts]
        made: Any = []
        call = "encode_documents"
        try:
            with EmbeddingError.around(self._embedding.name, call, len(given)):
                if given:
                    made = yield from _answer(self._embedding, call, given)
                return self._joined(made, counts, places)
        except EmbeddingError as error:
            error.made = self._begun(error.made, counts, places)
            error.renumber(np.repeat(places, counts).tolist())
            raise

    def _begun(self, made: Any, counts: NDArray[np.int64], places: Sequence[int]) -> Vectors | None:
        """The vectors of the first texts that came with an error, if they are such."""
        try:
            counts = counts[: 0 if made is None else np.sum(np.cumsum(counts) <= len(made))]
            return self._joined(made[: counts.sum()], counts, places) if len(counts) else None
        except Exception:  # noqa: BLE001  # it is the function's, and must not hide its error
            return None

    def _joined(self, made: Any, counts: NDArray[np.int64], places: Sequence[int]) -> Vectors:
        total = int(counts.sum())
        if not total:
            # Without any text it need not be known: a provider learns it from its first answer.
            with EmbeddingError.around(self._embedding.name, "dim"):
                dim = self._dim or (self._embedding.dim if len(counts) else 0)
            return np.zeros((len(counts), dim), dtype=np.float32)
        # Not of the first: whoever has a part of a list embedded would be told a wrong place.
        where = f", from texts[{places[0]}] on" if places[0] else ""
        source = f"{self._embedding.name}.encode_documents of {total} texts{where}"
        return mean_of_parts(checked_vectors(source, made, total, self._dim), counts)


def _answer(embedding: EmbeddingFunction, call: str, texts: list[str]) -> Flow[Any]:
    """What a function gives for texts, read to its end if it is made while it is read.

    Raises:
        EmbeddingError: if the function fails before that; what it had given is in its ``made``.
    """
    rows: list[Any] = []
    try:
        count = len(texts) if call == "encode_documents" else 0
        with EmbeddingError.around(embedding.name, call, count):
            found = yield step_of(embedding, call, texts)
            if not isinstance(found, Iterator):
                return found
            yield step(_read, None, found, rows)  # which is the work itself: beside an event loop
            return rows
    except EmbeddingError as error:
        error.made = rows if error.made is None and rows else error.made
        raise


def _read(given: Iterator[Any], into: list[Any]) -> None:
    for each in given:
        into.append(each)  # noqa: PERF402  # nobody says what `extend` leaves after an error


def mean_of_parts(vectors: Vectors, counts: NDArray[np.int64]) -> Vectors:
    """One vector for each text, from those of its parts.

    Args:
        vectors: (parts, dim) of all texts, one text after the other.
        counts: (texts,) how many parts each has.

    Returns:
        (texts, dim): the only vector of a text in one part, the mean of several, of unit length
        if all of them are; zero without any.
    """
    if (counts == 1).all():
        return vectors
    means = np.zeros((len(counts), vectors.shape[1]), dtype=np.float32)
    starts = np.cumsum(counts) - counts
    whole, several = counts == 1, counts > 1
    means[whole] = vectors[starts[whole]]
    for text in np.flatnonzero(several):
        parts = vectors[starts[text] : starts[text] + counts[text]].astype(np.float64)
        mean = parts.mean(axis=0)
        is_unit = np.abs(np.linalg.norm(parts, axis=1) - 1).max() < _UNIT_WITHIN
        means[text] = mean / (np.linalg.norm(mean) or 1.0) if is_unit else mean
    return means


def _runs(counts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Neighbours with as many parts as are embedded at once; a text with more stands alone."""
    start = total = 0
    for i, count in enumerate(counts):
        if i > start and total + count > _AT_ONCE:
            yield start, i
            start, total = i, 0
        total += count
    yield start, len(counts)


def _checked_parts(embedding: Any, texts: list[str]) -> list[list[str]]:
    """What a function makes of texts: at least one part of each.

    Raises:
        EmbeddingError: if it fails.
        ParamError: if it is anything else.
    """
    with EmbeddingError.around(embedding.name, "split_documents", len(texts)):
        found: Any = embedding.split_documents(texts)
    lists = found if isinstance(found, list) and len(found) == len(texts) else [None]
    parts = [list(each) if isinstance(each, (list, tuple)) else [] for each in lists]
    if not all(each and all(isinstance(part, str) for part in each) for each in parts):
        raise ParamError(
            f"{quoted(embedding.name)}.split_documents must give a list of strings for each of "
            f"{len(texts)} texts, got {shown(found)}"
        )
    return parts

"""A BM25 index as named arrays and back: the integers only, for impacts follow from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from elanus.errors import DatabaseCorruptError
from elanus.index.sparse._bm25 import Bm25Index
from elanus.index.sparse._postings import Postings
from elanus.index.sparse._segment import TermCounts, make_segment, sum_counts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_KINDS: Final = {
    "terms": "u4",
    "starts": "i8",
    "slots": "i4",
    "weights": "u",
    "lengths": "i8",
    "removed_terms": "u4",
    "removed_counts": "i8",
    "totals": "i8",
}


def bm25_to_arrays(index: Bm25Index) -> dict[str, NDArray[Any]]:
    """All that an index knows, for `bm25_from_arrays`: about 5 bytes a posting, 8 a slot."""
    arrays: dict[str, NDArray[Any]] = {
        name: np.zeros(0, dtype=np.uint8 if kind == "u" else kind) for name, kind in _KINDS.items()
    }
    arrays["starts"] = np.zeros(1, dtype=np.int64)
    for segment in index.merged().segments:
        held = segment.postings
        arrays |= {"terms": held.terms, "starts": held.starts, "slots": held.slots}
        arrays |= {"weights": held.weights, "lengths": segment.lengths}
    if index.removed:
        removed = sum_counts(index.removed)
        arrays |= {"removed_terms": removed.terms, "removed_counts": removed.counts}
    arrays["totals"] = np.array([index.documents, index.total_length], dtype=np.int64)
    return arrays


def bm25_from_arrays(arrays: Mapping[str, NDArray[Any]], *, k1: float, b: float) -> Bm25Index:
    """The index of `bm25_to_arrays`: the same scores, to the last bit. Arrays are not copied.

    Args:
        arrays: possibly read-only maps, which must not change as long as the index lives.
        k1: see `Bm25Index.empty`; it may be another one than that of the index that was saved.
        b: likewise.

    Raises:
        DatabaseCorruptError: an array is missing, of a wrong type or length, or holds a number
            that is out of range.
        ParamError: k1 or b is out of range.
    """
    _check_types(arrays)
    _check_lists(arrays)
    documents, total_length = arrays["totals"].tolist()
    saturation = Bm25Index.empty(k1=k1, b=b).saturation
    removed = TermCounts(arrays["removed_terms"], arrays["removed_counts"])
    index = Bm25Index(
        saturation, documents, total_length, (), (removed,) if removed.terms.size else ()
    )
    lengths = arrays["lengths"]
    if not lengths.size:
        return index
    lists = (arrays[name] for name in ("terms", "starts", "slots", "weights"))
    segment = make_segment(
        Postings(0, lengths.size, *lists), lengths, index.average_length, saturation
    )
    return Bm25Index(saturation, documents, total_length, (segment,), index.removed)


def _check_types(arrays: Mapping[str, NDArray[Any]]) -> None:
    for name, kind in _KINDS.items():
        _check(name in arrays, f"the array {name} is missing")
        array = arrays[name]
        _check(
            array.ndim == 1 and kind in (array.dtype.kind, array.dtype.str[1:]),
            f"the array {name} is {array.dtype} with {array.ndim} dimensions",
        )
    _check(arrays["totals"].size == 2, "the totals are not two")
    _check(
        arrays["removed_terms"].size == arrays["removed_counts"].size,
        "the removed terms and their counts differ in number",
    )


def _check_lists(arrays: Mapping[str, NDArray[Any]]) -> None:
    """That every list is where its term says, and names slots that exist."""
    starts, slots = arrays["starts"], arrays["slots"]
    _check(starts.size == arrays["terms"].size + 1, "the lists are not one for each term")
    _check(
        starts[0] == 0 and starts[-1] == slots.size == arrays["weights"].size,
        "the lists do not fit the postings",
    )
    _check(bool((np.diff(starts) > 0).all()), "a list is empty, or begins before the one before")
    rows = arrays["lengths"].size
    _check(
        not slots.size or 0 <= int(slots.min()) <= int(slots.max()) < rows,
        f"a list names a slot that is none of the {rows}",
    )


def _check(holds: bool, fault: str) -> None:
    if not holds:
        raise DatabaseCorruptError(f"text index: {fault}; rebuild it")

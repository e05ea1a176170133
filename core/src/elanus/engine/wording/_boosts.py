"""Queries that find rows by several of their texts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from elanus.engine._snapshot import Snapshot
from elanus.engine.wording._groups import Grouping
from elanus.index import Bm25Groups, Bm25Index
from elanus.schema import SearchParams


def boosted(
    snapshot: Snapshot,
    indexes: Mapping[str, Bm25Index],
    boosts: Mapping[str, float],
    text: str,
    params: SearchParams,
) -> tuple[Bm25Groups, int]:
    """A query whose scores are those of a text field and, times a factor each, of others.

    score = BM25 of the first field + Σ boost · BM25 of another: the sum that Robertson, Zaragoza
    and Taylor (CIKM 2004) compare theirs with, each field by its own frequencies and lengths.

    Args:
        snapshot: where it is asked.
        indexes: the terms of each field, the one that is searched first.
        boosts: the factors of the others.
        text: the query.
        params: whether its words stand for several terms.
    """
    first: Bm25Groups | None = None
    for name, index in indexes.items():
        others = {other: each for other, each in indexes.items() if other != name}
        grouping = Grouping(snapshot, name, index, params.prefix, params.typos, others)
        found = index.grouped(grouping.words(text)[0], snapshot.view.mask)
        if first is None:
            first = found
            continue
        by = boosts[name]
        _, deviation, possible = index.judge(found, 0, np.zeros(0, dtype=np.intp))
        # As the deviation has it, a title holds a word about once: half of what it scores at most.
        first = first.beside(by * found.scores, by * deviation, by * possible / 2)
    assert first is not None
    return first, 0

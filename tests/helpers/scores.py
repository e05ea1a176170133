"""Canonical scores of some rows with one query, for the tests of dense vectors."""

from elanus.index.dense import _exact, _lengths


def canonical_scores(metric, rows, query):
    vector = _exact.QueryVector.of(query, rows.shape[1])
    squares = _lengths.squared_norms(rows)
    return _exact.canonical_scores(metric, rows, vector.wide, vector.square, squares)

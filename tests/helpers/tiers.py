"""Have small collections searched as large ones are."""

from elanus.index.dense import _codes, _rerank


def prefer_candidates(patch, cost=0.001):
    """Let candidates of graphs, lists and codes cost so many rows each, and codes nothing."""
    patch.setattr(_rerank, "FETCH_COST", cost)
    for name in ("_CODE_COST", "_CALL_COST"):
        patch.setattr(_codes, name, 0)
    patch.setattr(_codes, "_CANDIDATE_COST", cost)

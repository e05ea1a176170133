"""Learning the lists and the codes of FAISS in short steps, between which it can be given up.

FAISS does all of it in one call, which nothing ends early. The steps are its own: the same
k-means, over the same vectors in the same order. Only where a single round of it would take long
are its vectors compared some at a time, and the means taken here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from elanus import native
from elanus.index.dense._nodes import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from elanus.index.dense._lengths import Float32s

_STEP_PRODUCTS = 2_000_000_000  # 0.1 to 0.4 s
_SPLIT = 1.0 / 1024  # FAISS's: how far apart the halves of a list that is split begin


def learn_lists(faiss: Any, made: Any, vectors: Float32s, stop: Callable[[], bool]) -> None:
    """Fill the quantizer that says which list a vector belongs to.

    Raises:
        Stopped: ``stop`` said so.
    """
    centroids = _means(faiss, vectors, made.nlist, made.cp, made.quantizer, stop)
    made.quantizer.reset()
    made.quantizer.add(centroids)


def learn_codes(faiss: Any, made: Any, vectors: Float32s, stop: Callable[[], bool]) -> None:
    """Learn what the codes mean; the lists are there.

    Raises:
        Stopped: ``stop`` said so.
    """
    if not hasattr(made, "pq"):
        # One pass; the lists, which are there, are left as they are.
        native.call(None, made.train, vectors)
        return
    pq = made.pq
    wanted = pq.cp.max_points_per_centroid * pq.ksub
    if len(vectors) > wanted:
        vectors = vectors[np.sort(np.random.default_rng(1).permutation(len(vectors))[:wanted])]
    if made.by_residual:
        centroids = made.quantizer.reconstruct_n(0, made.nlist)
        vectors = vectors.copy()
        for part, owners in _nearest(vectors, made.quantizer, stop):
            vectors[part] -= centroids[owners]
    learned = np.empty((pq.M, pq.ksub, pq.dsub), dtype=np.float32)
    for number in range(pq.M):
        columns = vectors[:, number * pq.dsub : (number + 1) * pq.dsub]
        columns = np.ascontiguousarray(columns)
        learned[number] = _means(faiss, columns, pq.ksub, pq.cp, faiss.IndexFlatL2(pq.dsub), stop)
    faiss.copy_array_to_vector(learned.reshape(-1), pq.centroids)
    if made.by_residual and stop():
        raise Stopped
    if made.by_residual and hasattr(made, "precompute_table"):
        made.precompute_table()
    made.is_trained = True


def _means(
    faiss: Any, vectors: Float32s, k: int, params: Any, index: Any, stop: Callable[[], bool]
) -> Float32s:
    """The centroids of k-means, shape ``(k, dim)``."""
    n, dim = vectors.shape
    rounds = _STEP_PRODUCTS // (n * k * dim)
    clustering = faiss.Clustering(dim, k, params)
    left = params.niter
    # The first round also draws the centroids to begin with.
    clustering.niter = min(max(rounds, 1), left) if rounds else 0
    while left:
        if stop():
            raise Stopped
        native.call(None, clustering.train, vectors, index)
        if not rounds:
            break
        left -= clustering.niter
        clustering.niter = min(clustering.niter, left)
    means: Float32s = faiss.vector_to_array(clustering.centroids).reshape(k, dim)
    most = k * params.max_points_per_centroid
    if left and n > most:
        vectors = vectors[np.sort(np.random.default_rng(1).permutation(n)[:most])]
    for _ in range(left):
        index.reset()
        index.add(means)
        means = _moved(means, vectors, index, stop)
        if params.spherical:
            faiss.normalize_L2(means)
    return means


def _nearest(
    vectors: Float32s, index: Any, stop: Callable[[], bool]
) -> Iterator[tuple[slice, NDArray[np.int64]]]:
    """The nearest entry of an index for each vector, for some vectors at a time."""
    step = max(32, _STEP_PRODUCTS // (max(index.ntotal, 1) * vectors.shape[1]))
    for first in range(0, len(vectors), step):
        if stop():
            raise Stopped
        part = slice(first, first + step)
        owners: NDArray[np.int64] = native.call(None, index.search, vectors[part], 1)[1][:, 0]
        yield part, owners


def _moved(means: Float32s, vectors: Float32s, index: Any, stop: Callable[[], bool]) -> Float32s:
    """The mean of each list; one without vectors takes over half of a long one."""
    sums = np.zeros(means.shape, dtype=np.float64)
    counts = np.zeros(len(means), dtype=np.int64)
    for part, owners in _nearest(vectors, index, stop):
        order = np.argsort(owners, kind="stable")
        lists, starts = np.unique(owners[order], return_index=True)
        sums[lists] += np.add.reduceat(vectors[part][order], starts, axis=0, dtype=np.float64)
        counts += np.bincount(owners, minlength=len(means))
    moved: Float32s = means.copy()
    filled = counts > 0
    moved[filled] = sums[filled] / counts[filled, np.newaxis]
    _split(moved, counts)
    return moved


def _split(means: Float32s, counts: NDArray[np.int64]) -> None:
    """Let lists without vectors share those of long ones, as FAISS does."""
    chance, sizes = np.random.default_rng(1234), counts.astype(np.float64)
    signs = np.where(np.arange(means.shape[1]) % 2, -_SPLIT, _SPLIT).astype(np.float32)
    for empty in np.flatnonzero(counts == 0).tolist():
        weights = np.maximum(sizes - 1.0, 0.0)
        if not weights.any():
            return
        donor = int(chance.choice(len(sizes), p=weights / weights.sum()))
        means[empty] = means[donor] * (1 + signs)
        means[donor] *= 1 - signs
        sizes[empty] = sizes[donor] = sizes[donor] / 2

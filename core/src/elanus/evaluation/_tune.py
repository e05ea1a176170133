"""The settings of a store that suit a user's own questions, by cross-validation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.documents import DocumentStore, SearchSettings
from elanus.errors import ParamError, shown
from elanus.evaluation._compare import Comparison, compare_values
from elanus.evaluation._measures import as_measures, scores
from elanus.evaluation._questions import Questions, checked_store, of_type
from elanus.evaluation._runs import Method, run_methods
from elanus.schema import LARGEST_BOOST, flag, members, number, whole

_WEIGHTS = (0.5, 0.8, 1.1, 1.6, 2.3)
_K1S = (0.9, 1.2, 1.8)
_BS = (0.4, 0.75)
_DEPTHS = (100, 200)
_TITLE_BOOSTS = (0.0, 0.25, 1.0)
_AXES = ("weights", "k1s", "bs", "depths", "title_boosts")
_MOST_WEIGHT, _MOST_K1 = 1e9, 3.0
_SEEDS = 2**32 - 1
_USUAL_K, _DEPTH_OF_K = 10, 4
_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Candidate:
    """Settings that were tried.

    Attributes:
        settings: all that a search goes by.
        mean: of the measure over all questions.
    """

    settings: SearchSettings
    mean: float


@dataclass(frozen=True, slots=True)
class Fold:
    """One part of the questions, kept aside while settings are chosen by the others.

    Attributes:
        questions: ids of the part.
        settings: what the others chose.
        chosen_by: mean over the others, which is what they were chosen for.
        held_out: mean over the part, which had no say.
        before: mean over the part of the settings that the store had.
    """

    questions: tuple[str, ...]
    settings: SearchSettings
    chosen_by: float
    held_out: float
    before: float


@dataclass(frozen=True, slots=True)
class Tuning:
    """What suits a set of questions, and how much of that to expect for others.

    Attributes:
        settings: the best of the candidates over all questions, for ``DocumentStore.configure``.
        before: what the store went by.
        measure: what was to be large.
        held_out: mean over all questions, each searched by what other questions chose: what to
            expect of questions that are not among these.
        usual: mean over the same questions by the settings before.
        gain: ``held_out`` beside ``usual``, with a test of significance.
        is_better: whether there is a gain that chance alone hardly gives (p < 0.05).
        applied: whether the settings are now kept with the collection.
        folds: the parts.
        candidates: all that was tried, the settings before first.
    """

    settings: SearchSettings
    before: SearchSettings
    measure: str
    held_out: float
    usual: float
    gain: Comparison
    is_better: bool
    applied: bool
    folds: tuple[Fold, ...]
    candidates: tuple[Candidate, ...]

    def __str__(self) -> str:
        count = sum(len(fold.questions) for fold in self.folds)
        best = max(candidate.mean for candidate in self.candidates)
        gain, is_changed = self.gain, self.settings != self.before
        verdict = "a gain" if self.is_better else "no gain beyond chance"
        done = "the best are kept with the collection" if self.applied else "nothing was changed"
        chosen = Counter(str(fold.settings) for fold in self.folds).most_common()
        tested = f"[{gain.low:+.4f}, {gain.high:+.4f}], p = {gain.p_value:.3f}"
        lines = (
            f"{self.measure} of {count} questions, {len(self.candidates)} settings tried",
            f"  before    {self.usual:.4f}  {self.before}",
            f"  held out  {self.held_out:.4f}  each part by what the others chose",
            f"  best      {best:.4f}  {self.settings if is_changed else 'the same'}",
            f"  gain {gain.difference:+.4f} {tested}: {verdict}; {done}",
        )
        return "\n".join([*lines, *(f"  chosen {n} times: {said}" for said, n in chosen)])


def tune(
    store: DocumentStore,
    questions: Questions,
    *,
    weights: Sequence[float] = _WEIGHTS,
    k1s: Sequence[float] = _K1S,
    bs: Sequence[float] = _BS,
    depths: Sequence[int] = _DEPTHS,
    title_boosts: Sequence[float] = _TITLE_BOOSTS,
    measure: str = "nDCG@10",
    folds: int = 5,
    seed: int = 0,
    vectors: Any = None,
    apply: bool = False,
    progress: bool = False,
) -> Tuning:
    """Find the settings by which a store answers questions best, and keep them if they do.

    Every candidate, the present settings first, searches for every question: hybrid, or by words in
    a store without vectors. Then the questions are dealt at random into parts; for each part the
    candidate is chosen that is best on all others, and measured on the part. Of equal candidates
    the first is chosen, so what changes nothing stays.

    Nothing is written until all is measured, and then in one commit: a call that is interrupted has
    changed nothing. Meanwhile searches of others in this process are right, but slower.

    Args:
        store: where to search.
        questions: judged ones; with known items the text leg wins whatever users ask. It warns as
            ``evaluate`` if the store lacks documents that were judged relevant.
        weights: candidates of ``AdaptiveRanker``'s weight; of no use without vectors.
        k1s: of BM25's k1; all of them are tried with all of the others.
        bs: of BM25's b.
        depths: of the number of hits that each leg gives to the fusion; of no use without vectors.
            As in a search, four times as many as the measure looks at are the least, or 40.
        title_boosts: of what a word of the title counts; of no use without titles.
        measure: what is to be large, as for ``evaluate``.
        folds: how many parts, at most one for each question.
        seed: of the dealing.
        vectors: (n, dim) the questions' embeddings in their order, if they are known already.
        apply: keep the best settings with the collection (``DocumentStore.configure``) if
            ``is_better``; else the old ones stay.
        progress: show a progress bar on standard error.

    Raises:
        ParamError: if an argument is wrong, or if there are fewer questions than parts.
        ReadOnlyError: if settings are to be kept, and the store is open for reading only.
        DataNotMatchException: if the vectors are of another shape.
        MissingExtraError: if ir-measures or scipy is not installed.
        EmbeddingMismatchError, EmbeddingError: as ``DocumentStore.search``.
    """
    stats = checked_store(store).stats()
    before, asked = stats.settings, as_measures([measure])
    axes = _checked_axes(weights, k1s, bs, depths, title_boosts)
    tried = _candidates(before, axes, has_vectors=store.dim is not None)
    parts = _dealt(len(of_type("questions", Questions, questions)), folds, seed)
    if flag("apply", apply):
        store.client.check_writable()  # before minutes of searching
    cutoff = asked[0].cutoff
    methods = _methods(tried, cutoff or _USUAL_K, has_vectors=store.dim is not None)
    k = cutoff or 10 * _USUAL_K
    runs = run_methods(store, questions, methods, k=k, vectors=vectors, progress=progress)
    values = np.array(scores(runs, questions, asked)[:, 0])
    found = [_fold(questions.ids, part, tried, values) for part in parts]
    held_out = np.empty(len(questions))
    for fold, part in zip(found, parts, strict=True):
        held_out[part] = values[tried.index(fold.settings), part]
    (gain,) = compare_values(["tuned"], held_out[np.newaxis], values[0], "before", asked[0].name)
    best = tried[int(values.mean(axis=1).argmax())]
    is_better = gain.difference > 0 and gain.p_value < _LEVEL and best != before
    if apply and is_better:
        _keep(store, best)
    return Tuning(
        best, before, asked[0].name, float(held_out.mean()), float(values[0].mean()), gain,
        is_better, apply and is_better, tuple(found),
        tuple(Candidate(each, float(row.mean())) for each, row in zip(tried, values, strict=True)),
    )  # fmt: skip


def _keep(store: DocumentStore, best: SearchSettings) -> None:
    if store.dim is None:  # no fusion, and so no settings of one
        best = replace(best, weight=None, depth=None)
    store.configure(best)


def _methods(tried: Sequence[SearchSettings], k: int, *, has_vectors: bool) -> list[Method]:
    """A way to search for each candidate, which looks as deep as a search for k documents."""
    mode: Any = "hybrid" if has_vectors else "text"
    return [
        Method(repr(each), mode, depth=max(each.depth or 0, _DEPTH_OF_K * k), settings=each)
        for each in tried
    ]


def _checked_axes(weights: Any, k1s: Any, bs: Any, depths: Any, boosts: Any) -> list[list[Any]]:
    """The candidates of each setting."""
    axes: list[list[Any]] = [
        [float(number("a weight", w, 0, _MOST_WEIGHT)) for w in _listed("weights", weights)],
        [float(number("a k1", k1, 0, _MOST_K1)) for k1 in _listed("k1s", k1s)],
        [float(number("a b", b, 0, 1)) for b in _listed("bs", bs)],
        [whole("a depth", n, 1) for n in _listed("depths", depths)],
        [
            float(number("a title_boost", boost, 0, LARGEST_BOOST))
            for boost in _listed("title_boosts", boosts)
        ],
    ]
    for what, values in zip(_AXES, axes, strict=True):
        if not values or len(set(values)) != len(values):
            raise ParamError(f"{what} must be there, and each once; got {shown(values)}")
    return axes


def _listed(what: str, given: Any) -> list[Any]:
    return members(what, "a list", given)


def _candidates(
    before: SearchSettings, axes: Sequence[Sequence[Any]], *, has_vectors: bool
) -> list[SearchSettings]:
    """The settings before, and then every combination."""
    weights, k1s, bs, depths, boosts = axes
    if not has_vectors:
        weights, depths = [before.weight], [before.depth]
    if before.title_boost is None:  # a store with titles has one, kept or usual
        boosts = [None]
    # Weights inside: the text index of the collection changes with k1 and b.
    grid = [
        replace(before, weight=weight, k1=k1, b=b, depth=depth, title_boost=boost)
        for k1, b, depth, boost, weight in product(k1s, bs, depths, boosts, weights)
    ]
    return [before, *(each for each in grid if each != before)]


def _dealt(questions: int, folds: Any, seed: Any) -> list[NDArray[np.int64]]:
    """The numbers of questions, dealt at random into parts that differ in size by one at most."""
    folds, seed = whole("folds", folds, 2), whole("seed", seed, 0, _SEEDS)
    if questions < folds:
        raise ParamError(f"folds={folds}, but there are only {questions} questions")
    order = np.random.default_rng(seed).permutation(questions)
    return [np.sort(part) for part in np.array_split(order, folds)]


def _fold(
    ids: Sequence[str],
    part: NDArray[np.int64],
    tried: Sequence[SearchSettings],
    values: NDArray[np.float64],
) -> Fold:
    """Choose by all questions but those of the part."""
    means = np.delete(values, part, axis=1).mean(axis=1)
    best = int(means.argmax())
    return Fold(
        tuple(ids[i] for i in part), tried[best], float(means[best]),
        float(values[best, part].mean()), float(values[0, part].mean()),
    )  # fmt: skip

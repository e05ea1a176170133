"""The weight of the dense leg that suits a user's own questions, by cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.documents import DocumentStore
from elanus.errors import ParamError
from elanus.evaluation._compare import Comparison, compare_values
from elanus.evaluation._measures import as_measures, scores
from elanus.evaluation._questions import Questions, of_type
from elanus.evaluation._runs import Method, run_methods
from elanus.schema import WeightedRanker, members, number, refuse, whole

_WEIGHTS = tuple(i / 10 for i in range(11))
_MOST = 1e9
_SEEDS = 2**32 - 1
_USUAL_K = 100


@dataclass(frozen=True, slots=True)
class Candidate:
    """A weight and a depth, with their mean score.

    Attributes:
        weight: what ``ranker_of`` makes a ranker of.
        depth: how many hits each leg gives to the fusion.
        mean: of the measure over all questions.
    """

    weight: float
    depth: int
    mean: float


@dataclass(frozen=True, slots=True)
class Fold:
    """One part of the questions, kept aside while weight and depth are chosen by the others.

    Attributes:
        questions: ids of the part.
        weight, depth: what the others chose.
        chosen_by: mean over the others, which is what they were chosen for.
        held_out: mean over the part, which had no say.
        usual: mean of the store's default over the part.
    """

    questions: tuple[str, ...]
    weight: float
    depth: int
    chosen_by: float
    held_out: float
    usual: float


@dataclass(frozen=True, slots=True)
class Tuning:
    """What suits a set of questions, and how much of that to expect for others.

    Attributes:
        weight, depth: the best of the candidates over all questions.
        ranker: of that weight, to be given to ``DocumentStore.search``.
        measure: what was to be large.
        held_out: mean over all questions, each searched by what other questions chose: what to
            expect of questions that are not among these.
        usual: mean of the store's default ranking over the same questions.
        gain: ``held_out`` beside ``usual``, with a test of significance: do not change the weight
            for a gain that may be chance.
        folds: the parts.
        candidates: all that was tried, in the order in which they were given.
    """

    weight: float
    depth: int
    ranker: Any
    measure: str
    held_out: float
    usual: float
    gain: Comparison
    folds: tuple[Fold, ...]
    candidates: tuple[Candidate, ...]


def dense_weight(weight: float) -> WeightedRanker:
    """The ranker that gives a weight to the dense leg, and the rest of 1 to the text leg.

    Raises:
        ParamError: if the weight is not from 0 to 1.
    """
    share = number("weight", weight, 0, 1)
    return WeightedRanker(share, 1 - share)


def tune(
    store: DocumentStore,
    questions: Questions,
    *,
    weights: Sequence[float] = _WEIGHTS,
    depths: Sequence[int] = (100,),
    ranker_of: Callable[[float], Any] = dense_weight,
    measure: str = "nDCG@10",
    folds: int = 5,
    seed: int = 0,
    vectors: Any = None,
    progress: bool = False,
) -> Tuning:
    """Find the weight, and the depth, by which hybrid search answers questions best.

    Every candidate searches for every question. Then the questions are dealt at random into parts;
    for each part the candidate is chosen that is best on all others, and measured on the part. Of
    equal candidates the one given first is chosen. Nothing is written.

    Args:
        store: where to search.
        questions: judged ones; with known items the text leg wins whatever users ask.
        weights: the candidates.
        depths: how many hits each leg gives to the fusion; tried with every weight.
        ranker_of: makes a ranker of a weight.
        measure: what is to be large, as for ``evaluate``.
        folds: how many parts, at most one for each question.
        seed: of the dealing.
        vectors: (n, dim) the questions' embeddings in their order, if they are known already.
        progress: show a progress bar on standard error.

    Raises:
        ParamError: if an argument is wrong, or if there are fewer questions than parts.
        DataNotMatchException: if the vectors are of another shape.
        MissingExtraError: if ir-measures or scipy is not installed.
        EmbeddingMismatchError, EmbeddingError: as ``DocumentStore.search``.
    """
    if not callable(ranker_of):
        refuse("ranker_of", "a function of a weight", ranker_of)
    tried = _candidates(weights, depths)
    asked = as_measures([measure])
    parts = _dealt(len(of_type("questions", Questions, questions)), folds, seed)
    methods = [Method("usual")]
    methods += [Method(f"{w!r} at {n}", "hybrid", ranker_of(w), n) for w, n in tried]
    k = asked[0].cutoff or _USUAL_K
    runs = run_methods(store, questions, methods, k=k, vectors=vectors, progress=progress)
    usual, *rows = scores(runs, questions, asked)[:, 0]
    values = np.array(rows)
    best = int(values.mean(axis=1).argmax())
    found = [_fold(questions.ids, part, tried, values, usual) for part in parts]
    held_out = np.empty(len(questions))
    for fold, part in zip(found, parts, strict=True):
        held_out[part] = values[tried.index((fold.weight, fold.depth)), part]
    (gain,) = compare_values(["tuned"], held_out[np.newaxis], usual, "usual", asked[0].name)
    return Tuning(
        *tried[best], methods[best + 1].ranker, asked[0].name,
        float(held_out.mean()), float(usual.mean()), gain, tuple(found),
        tuple(Candidate(w, n, float(row.mean())) for (w, n), row in zip(tried, rows, strict=True)),
    )  # fmt: skip


def _candidates(weights: Any, depths: Any) -> list[tuple[float, int]]:
    """Each weight at each depth."""
    shares = [number("a weight", w, 0, _MOST) for w in members("weights", "a list", weights)]
    counts = [whole("a depth", n, 1) for n in members("depths", "a list", depths)]
    for what, values in (("weights", shares), ("depths", counts)):
        if not values or len(set(values)) != len(values):
            raise ParamError(f"{what} must be there, and each once; got {values}")
    return list(product(map(float, shares), counts))


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
    tried: Sequence[tuple[float, int]],
    values: NDArray[np.float64],
    usual: NDArray[np.float64],
) -> Fold:
    """Choose by all questions but those of the part."""
    means = np.delete(values, part, axis=1).mean(axis=1)
    best = int(means.argmax())
    return Fold(
        tuple(ids[i] for i in part), *tried[best], float(means[best]),
        float(values[best, part].mean()), float(usual[part].mean()),
    )  # fmt: skip

"""Runs, measured on questions and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.documents import DocumentStore
from elanus.errors import ParamError, listed, shown
from elanus.evaluation._compare import Comparison, compare_values
from elanus.evaluation._measures import as_measures, check_cutoffs, scores
from elanus.evaluation._questions import Questions, of_type
from elanus.evaluation._runs import (
    Method,
    Run,
    check_names,
    checked_methods,
    run_methods,
    usual_methods,
)
from elanus.schema import members, whole

USUAL = ("nDCG@10", "recall@100", "MRR@10", "MAP")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What measures say of runs.

    ``text_report`` makes tables of it, ``html_report`` a page with plots.

    Attributes:
        questions: what was asked.
        runs: what was found.
        measures: their names; the first is the one that comparisons are of, if none is named.
        baseline: name of the run that the others are compared with.
        values: (runs, measures, questions) each from 0 to 1, not to be written to.
    """

    questions: Questions
    runs: tuple[Run, ...]
    measures: tuple[str, ...]
    baseline: str
    values: NDArray[np.float64] = field(compare=False, repr=False)

    def by_question(self, run: str, measure: str | None = None) -> NDArray[np.float64]:
        """(questions,) what a measure says of a run, question by question in their order.

        Raises:
            ParamError: if there is no such run or measure.
        """
        row: NDArray[np.float64] = self.values[self._run(run), self._measure(measure)]
        return row

    def mean(self, run: str, measure: str | None = None) -> float:
        """What a measure says of a run, on average over questions.

        Raises:
            ParamError: if there is no such run or measure.
        """
        return float(self.by_question(run, measure).mean())

    def compare(self, measure: str | None = None) -> tuple[Comparison, ...]:
        """Every other run beside the baseline, with a test of significance.

        Raises:
            ParamError: if there is no such measure, or only one question.
            MissingExtraError: if scipy is not installed.
        """
        number = self._measure(measure)
        others = [i for i, run in enumerate(self.runs) if run.name != self.baseline]
        return compare_values(
            [self.runs[i].name for i in others],
            self.values[others, number],
            self.values[self._run(self.baseline), number],
            self.baseline,
            self.measures[number],
        )

    def _run(self, name: Any) -> int:
        return _place("run", name, [run.name for run in self.runs])

    def _measure(self, name: Any) -> int:
        if name is None:
            return 0
        (measure,) = as_measures([name])
        return _place("measure", measure.name, self.measures)


def _place(what: str, name: Any, names: Sequence[str]) -> int:
    if not isinstance(name, str) or name not in names:
        raise ParamError(f"there is no {what} {shown(name)}; there are {listed(names)}")
    return names.index(name)


def evaluate(
    store: DocumentStore,
    questions: Questions,
    methods: Sequence[Method] | None = None,
    *,
    measures: Sequence[str] = USUAL,
    baseline: str | None = None,
    k: int = 100,
    vectors: Any = None,
    progress: bool = False,
) -> Evaluation:
    """Search for all questions in several ways, and measure what is found.

    Args:
        store: where to search.
        questions: what to search for; its documents are in the store by the same ids. A warning
            (``ElanusWarning``) says how many that were judged relevant are not.
        methods: the ways; the store's default and each of its legs if they are left out.
        measures: ``nDCG``, ``recall``, ``MRR``, ``MAP``, ``precision`` or ``success``, with ``@k``.
        baseline: the method that others are compared with; the first if it is left out.
        k: how many documents to ask for: measures look no deeper.
        vectors: (n, dim) the questions' embeddings in their order, if they are known already.
        progress: show a progress bar on standard error.

    Raises:
        ParamError: if an argument is wrong; before the first search, but for what only a search
            can tell. DataNotMatchException: if the vectors are of another shape.
        MissingExtraError: if ir-measures is not installed.
        EmbeddingMismatchError, EmbeddingError: as ``DocumentStore.search``.
    """
    chosen = checked_methods(usual_methods(store) if methods is None else methods)
    check_cutoffs(as_measures(measures), whole("k", k, 1), "the evaluation")
    _checked_baseline(baseline, [method.name for method in chosen])
    runs = run_methods(store, questions, chosen, k=k, vectors=vectors, progress=progress)
    return evaluate_runs(runs, questions, measures=measures, baseline=baseline)


def evaluate_runs(
    runs: Sequence[Run],
    questions: Questions,
    *,
    measures: Sequence[str] = USUAL,
    baseline: str | None = None,
) -> Evaluation:
    """Measure runs that are there already: those of ``run_methods``, or of other systems.

    Args:
        runs: each with a ranking for every question.
        questions: what they are measured on.
        measures: as for ``evaluate``.
        baseline: name of the run that others are compared with; the first if it is left out.

    Raises:
        ParamError: if an argument is wrong, if two runs have one name, or if one lacks a question.
        MissingExtraError: if ir-measures is not installed.
    """
    given = tuple(members("runs", "a list of Run", runs))
    names = [of_type("runs", Run, run).name for run in given]
    check_names(names)
    of_type("questions", Questions, questions)
    first = _checked_baseline(baseline, names)
    asked = as_measures(measures)
    values = scores(given, questions, asked)
    return Evaluation(questions, given, tuple(m.name for m in asked), first, values)


def _checked_baseline(baseline: Any, names: Sequence[str]) -> str:
    if baseline is None:
        return names[0]
    return names[_place("run", baseline, names)]

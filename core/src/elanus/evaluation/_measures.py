"""How good a ranking is: measures of information retrieval, by ir-measures."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.errors import ParamError, loading, quoted
from elanus.evaluation._questions import Questions
from elanus.evaluation._runs import Run
from elanus.schema import members, refuse

# Our names by what they are in any case, with ir-measures's name, and whether they need a cutoff.
_KINDS = {
    "ndcg": ("nDCG", "nDCG", False),
    "recall": ("recall", "R", True),
    "mrr": ("MRR", "RR", False),
    "map": ("MAP", "AP", False),
    "precision": ("precision", "P", True),
    "success": ("success", "Success", True),
}
_NAME = re.compile(r"([a-z]+)(?:@([1-9][0-9]{0,5}))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure with its cutoff.

    Attributes:
        name: as tables show it, such as ``nDCG@10``.
        kind: ir-measures's name of it.
        cutoff: how many documents it looks at; None for all that were found.
    """

    name: str
    kind: str
    cutoff: int | None


def as_measures(names: Any) -> tuple[Measure, ...]:
    """Measures by their names; in any case of letters, each once."""
    found = tuple(_as_measure(name) for name in members("measures", "a list of names", names))
    if not found:
        raise ParamError("measures: there is none")
    if len(set(found)) != len(found):
        raise ParamError("measures: one of them is there twice")
    return found


def _as_measure(name: Any) -> Measure:
    match = _NAME.fullmatch(name) if isinstance(name, str) else None
    kind = _KINDS.get(match[1].lower()) if match else None
    if match is None or kind is None:
        refuse("measure", "nDCG, recall, MRR, MAP, precision or success, with @k", name)
    ours, theirs, needs_cutoff = kind
    if match[2] is None and needs_cutoff:
        raise ParamError(f"measure {quoted(name)} needs a cutoff, as {ours}@10")
    cutoff = None if match[2] is None else int(match[2])
    return Measure(ours if cutoff is None else f"{ours}@{cutoff}", theirs, cutoff)


def scores(
    runs: Sequence[Run], questions: Questions, measures: Sequence[Measure]
) -> NDArray[np.float64]:
    """(runs, measures, questions) what each measure says of each ranking, from 0 to 1.

    Raises:
        ParamError: if a run lacks a question, or asked for fewer documents than a measure looks at.
        MissingExtraError: if ir-measures is not installed.
    """
    for run in runs:
        for id_ in questions.ids:
            if id_ not in run.rankings:
                raise ParamError(f"run {quoted(run.name)} has no ranking for {quoted(id_)}")
        check_cutoffs(measures, run.k, f"run {quoted(run.name)}")
    theirs = _library()
    kinds = [_theirs(theirs, measure) for measure in measures]
    found = np.empty((len(runs), len(kinds), len(questions)))
    for place, run in enumerate(runs):
        judged, ranked = _numbered(run, questions)
        for each in theirs.iter_calc(kinds, judged, ranked):
            found[place, kinds.index(each.measure), int(each.query_id)] = each.value
    found.flags.writeable = False
    return found


def check_cutoffs(measures: Sequence[Measure], k: int, whose: str) -> None:
    """Raise ``ParamError`` if a measure looks at more documents than were asked for."""
    for measure in measures:
        if measure.cutoff is not None and measure.cutoff > k:
            raise ParamError(f"{measure.name} looks deeper than {whose}, of which k={k}")


def _library() -> ModuleType:
    missing = (
        "measures need the package ir-measures: pip install ir-measures "
        "(the extra elanus[evaluation])"
    )
    with loading("ir_measures", missing):
        return importlib.import_module("ir_measures")


def _theirs(library: ModuleType, measure: Measure) -> Any:
    kind = getattr(library, measure.kind)
    return kind if measure.cutoff is None else kind @ measure.cutoff


def _numbered(
    run: Run, questions: Questions
) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """Grades and scores by numbers in place of ids, with a score that falls by one with the rank.

    trec_eval, below ir-measures, takes ids for C strings, breaks ties of scores by them, and
    rounds scores to float32. So ids have no zero bytes, and no score has a tie: what is measured
    is the order in which the documents were found.
    """
    judged, ranked = {}, {}
    for place, id_ in enumerate(questions.ids):
        ids, grades = run.rankings[id_].ids, questions.judgements[id_]
        number = {document: str(n) for n, document in enumerate(_each_once(ids, grades))}
        judged[str(place)] = {number[document]: grade for document, grade in grades.items()}
        ranked[str(place)] = {number[d]: float(-rank) for rank, d in enumerate(ids)}
    return judged, ranked


def _each_once(*lists: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(document for ids in lists for document in ids)

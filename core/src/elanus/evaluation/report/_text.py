"""Tables of text."""

from __future__ import annotations

from collections.abc import Sequence

from elanus.evaluation._compare import Comparison
from elanus.evaluation._evaluate import Evaluation
from elanus.evaluation._questions import Questions, of_type

_LEAST_P = 0.001
_FEWEST = 2  # questions that can be compared


def text_report(evaluation: Evaluation) -> str:
    """Two tables: means of the measures by run, and each run beside the baseline.

    Raises:
        ParamError: if it is of another type.
        MissingExtraError: if scipy is not installed.
    """
    found = of_type("evaluation", Evaluation, evaluation)
    names = [run.name for run in found.runs]
    means = [[f"{found.mean(name, m):.4f}" for m in found.measures] for name in names]
    lines = [
        f"{found.questions.name}: {about(found.questions)}",
        "",
        *_table(["", *found.measures], names, means),
    ]
    compared = comparisons(found)
    if compared:
        heads = ["", "difference", "95 % interval", "p", "p (Holm)", "better", "worse", "equal"]
        cells = [_cells(c) for c in compared]
        lines += ["", f"{found.measures[0]} less that of {found.baseline}:", ""]
        lines += _table(heads, [c.run for c in compared], cells)
    return "\n".join(lines) + "\n"


def about(questions: Questions) -> str:
    """How many there are, and who says which answers are right."""
    if not questions.made_of:
        return f"{len(questions):,} judged questions"
    made_of = questions.made_of
    return f"{len(questions):,} known-item queries, made of {made_of}; nobody asked or judged them"


def comparisons(evaluation: Evaluation) -> tuple[Comparison, ...]:
    """Each run beside the baseline by the first measure; none if there is nothing to compare."""
    if len(evaluation.runs) < _FEWEST or len(evaluation.questions) < _FEWEST:
        return ()
    return evaluation.compare()


def p_text(p: float) -> str:
    """A p-value, to three places."""
    return "< 0.001" if p < _LEAST_P else f"{p:.3f}"


def _cells(c: Comparison) -> list[str]:
    counts = [f"{n:,}" for n in (c.better, c.worse, c.equal)]
    interval = f"{c.low:+.4f} to {c.high:+.4f}"
    return [f"{c.difference:+.4f}", interval, p_text(c.p_value), p_text(c.adjusted), *counts]


def _table(heads: Sequence[str], names: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    """Lines with names to the left and cells to the right of their columns."""
    rows = [heads, *([name, *row] for name, row in zip(names, cells, strict=True))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]

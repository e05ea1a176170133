"""A page of one file, which asks for nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from elanus.documents import DocumentStore
from elanus.evaluation._compare import Comparison
from elanus.evaluation._evaluate import Evaluation
from elanus.evaluation._legs import Reliability, overlap, reliability
from elanus.evaluation._questions import checked_store, of_type
from elanus.evaluation._runs import Run
from elanus.evaluation.report._plots import (
    gains_plot,
    overlap_plot,
    reliability_plot,
    sources,
    sources_plot,
)
from elanus.evaluation.report._style import STYLE
from elanus.evaluation.report._text import about, comparisons, p_text
from elanus.evaluation.report._worst import worst_section
from elanus.schema import whole

_FIRST = 10


def html_report(evaluation: Evaluation, store: DocumentStore | None = None, worst: int = 10) -> str:
    """A page that shows an evaluation: open it in a browser, or send it to somebody.

    It holds the tables of ``text_report``, gains and losses by question, what the dense and the
    text run have in common (if there is one of each mode), relevance as predicted beside what was
    judged, and the questions that the baseline answers worst, with their hits. It loads nothing,
    runs no script, and follows the reader's light or dark scheme.

    Args:
        evaluation: what to show.
        store: where the documents' texts are; without it, hits have ids only.
        worst: how many of the worst questions to show.

    Raises:
        ParamError: if an argument is of another type.
        MissingExtraError: if scipy is not installed.
    """
    of_type("evaluation", Evaluation, evaluation)
    if store is not None:
        checked_store(store)
    worst = whole("worst", worst, 0)
    parts = [
        _head(evaluation), _means(evaluation), _compared(evaluation), _legs(evaluation),
        _relevance(evaluation), worst_section(evaluation, store, worst),
    ]  # fmt: skip
    title = f"Evaluation: {evaluation.questions.name}"
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(filter(None, parts))
        + "\n</body>\n</html>\n"
    )
    return page.translate(_UNPRINTABLE).encode(errors="replace").decode()


# HTML has no place for these, nor UTF-8 for halves of surrogate pairs.
_UNPRINTABLE = {
    code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), 127) if chr(code) not in "\t\n\r"
}


def _head(found: Evaluation) -> str:
    body = f'<h1 dir="auto">{escape(found.questions.name)}</h1>'
    depth = ", ".join(sorted({f"{run.k:,}" for run in found.runs}))
    body += f'<p class="soft">{escape(about(found.questions))}. Documents asked for: {depth}.</p>'
    if found.questions.made_of:
        body += (
            '<p class="note">These are known-item queries: each was taken from a document, which '
            "is its only answer. They favour search by words, and are not what people ask.</p>"
        )
    return body


def _means(found: Evaluation) -> str:
    means = found.values.mean(axis=2)
    best = means.max(axis=0)
    rows = [
        [escape(run.name), *(_mean(m, is_best=m == b) for m, b in zip(row, best, strict=True))]
        for run, row in zip(found.runs, means, strict=True)
    ]
    return "<h2>Means over questions</h2>" + table(["", *found.measures], rows)


def _mean(value: float, *, is_best: bool) -> str:
    return f'<span class="best">{value:.4f}</span>' if is_best else f"{value:.4f}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
    inner = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="wide"><table>{inner}</table></div>'


def _compared(found: Evaluation) -> str:
    compared = comparisons(found)
    if not compared:
        return ""
    heads = ["", "difference", "95 % interval", "p", "p (Holm)", "better", "worse", "equal"]
    base, measure = found.by_question(found.baseline), escape(found.measures[0])
    figures = (
        _figure(gains_plot(found.by_question(c.run) - base), f"<b>{escape(c.run)}</b>: {_won(c)}")
        for c in compared
    )
    return (
        f"<h2>Gains and losses beside {escape(found.baseline)}</h2>"
        f"<p>By {measure}. Intervals by bootstrap over questions, p by the paired randomisation "
        "test, two-sided, and corrected for the number of comparisons after Holm.</p>"
        + table(heads, map(_cells, compared))
        + f'<div class="figures">{"".join(figures)}</div>'
    )


def _cells(c: Comparison) -> list[str]:
    counts = [f"{n:,}" for n in (c.better, c.worse, c.equal)]
    ps = [escape(p_text(p)) for p in (c.p_value, c.adjusted)]
    return [
        escape(c.run), f"{c.difference:+.4f}", f"{c.low:+.4f} to {c.high:+.4f}", *ps, *counts
    ]  # fmt: skip


def _won(c: Comparison) -> str:
    return f"{c.better:,} questions better, {c.worse:,} worse, {c.equal:,} equal"


def _figure(plot: str, caption: str) -> str:
    return f"<figure>{plot}<figcaption>{caption}</figcaption></figure>"


def _legs(found: Evaluation) -> str:
    """What the first run of each single mode have in common; nothing if there is but one."""
    dense, text = (
        next((run for run in found.runs if run.mode == mode), None) for mode in ("dense", "text")
    )
    if dense is None or text is None:
        return ""
    k = min(_FIRST, dense.k, text.k)
    both = overlap(dense, text, found.questions, k)
    keys = "".join(
        f'<span class="key"><svg viewBox="0 0 12 12"><rect width="12" height="12" class="{name}"/>'
        f"</svg>{escape(label)}: {count:,}</span>"
        for name, label, count in sources(both)
    )
    said = f"Questions, by the share of hits that both have: {both.shared.mean():.0%} on average"
    return (
        f"<h2>What {escape(dense.name)} and {escape(text.name)} have in common</h2>"
        f'<div class="figures">{_figure(overlap_plot(both), said)}'
        + _figure(
            sources_plot(both), f"Relevant documents, by whose first {k} hits hold them<br>{keys}"
        )
        + "</div>"
    )


def _relevance(found: Evaluation) -> str:
    rated = [run for run in found.runs if _has_relevances(run, found.questions.texts)]
    if not rated:
        return ""
    figures = (
        _figure(reliability_plot(r), f"<b>{escape(r.run)}</b>: {_error(r)}")
        for r in (reliability(run, found.questions, min(_FIRST, run.k)) for run in rated)
    )
    return (
        "<h2>What a relevance is worth</h2>"
        f"<p>The share of the first {_FIRST} hits that was judged relevant, by the relevance that "
        "the search gave them. On the dashed line a relevance is a probability. Hits that nobody "
        "judged count as not relevant.</p>"
        f'<div class="figures">{"".join(figures)}</div>'
    )


def _has_relevances(run: Run, questions: Mapping[str, Any]) -> bool:
    """Whether each hit has one, and there is a hit."""
    rankings = [run.rankings[id_] for id_ in questions]
    said = sum(len(r.relevances) for r in rankings)
    return said > 0 and said == sum(len(r.ids) for r in rankings)


def _error(found: Reliability) -> str:
    hits = int(np.sum([b.count for b in found.bins]))
    return f"off by {found.error:.3f} on average; Brier score {found.brier:.3f}; {hits:,} hits"

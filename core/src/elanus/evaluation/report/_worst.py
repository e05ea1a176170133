"""The questions that are answered worst, with what was found for them and what was not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape

import numpy as np

from elanus.documents import DocumentStore
from elanus.evaluation._evaluate import Evaluation
from elanus.evaluation._runs import Run

_PERFECT = 1 - 1e-9
_HITS = 5
_MISSED = 3
_LONGEST = 240
_LAST_WORD = re.compile(r" [^ ]{0,40}$")  # cut off with its space, where a script has spaces
_RIGHT = '<span class="right" title="judged relevant">✓</span> '


def worst_section(found: Evaluation, store: DocumentStore | None, count: int) -> str:
    """The questions of which the first measure of the baseline is smallest, worst first.

    Those that are answered as well as can be are left out; if there is no other, all of this is.
    """
    values = found.by_question(found.baseline)
    order = [i for i in np.argsort(values, kind="stable")[:count] if values[i] < _PERFECT]
    if not order:
        return ""
    ids = [found.questions.ids[i] for i in order]
    (run,) = (run for run in found.runs if run.name == found.baseline)
    texts = _texts(found, run, ids, store)
    articles = (
        _article(found, run, place, id_, texts) for place, id_ in zip(order, ids, strict=True)
    )
    return (
        f"<h2>The worst questions of {escape(run.name)}</h2>"
        f"<p>By {escape(found.measures[0])}, with the first {_HITS} hits; ✓ marks those that were "
        "judged relevant.</p>" + "".join(articles)
    )


def _texts(
    found: Evaluation, run: Run, questions: list[str], store: DocumentStore | None
) -> Mapping[str, str]:
    """The texts of all documents that are shown, by one call."""
    if store is None:
        return {}
    ids = {d for id_ in questions for d in run.rankings[id_].ids[:_HITS]}
    for id_ in questions:
        ids.update(_missed(found, run, id_)[:_MISSED])
    return {document.id: document.text for document in store.get(sorted(ids))}


def _missed(found: Evaluation, run: Run, question: str) -> list[str]:
    """Relevant documents that are not among the hits shown: best grades first."""
    grades, hits = found.questions.judgements[question], run.rankings[question].ids[:_HITS]
    missed = found.questions.relevant(question).difference(hits)
    return sorted(missed, key=lambda document: (-grades[document], document))


def _article(
    found: Evaluation, run: Run, place: int, question: str, texts: Mapping[str, str]
) -> str:
    ranking, relevant = run.rankings[question], found.questions.relevant(question)
    hits = ""
    for rank, document in enumerate(ranking.ids[:_HITS]):
        said = f" relevance {ranking.relevances[rank]:.2f}" if ranking.relevances else ""
        mark = _RIGHT if document in relevant else ""
        hits += f"<li>{mark}{_document(document, texts)}<small>{said}</small></li>"
    missed = _missed(found, run, question)
    left = "".join(
        f"<li>{_RIGHT}{_document(d, texts)} <small>{_ranks(found, question, d)}</small></li>"
        for d in missed[:_MISSED]
    )
    if len(missed) > _MISSED:
        left += f"<li><small>and {len(missed) - _MISSED:,} more</small></li>"
    values = ", ".join(
        f"{each.name} {value:.3f}"
        for each, value in zip(found.runs, found.values[:, 0, place], strict=True)
    )
    return (
        f'<article><h3 dir="auto">{_cut(found.questions.texts[question])}</h3>'
        f"<small><code>{escape(question)}</code> · {escape(values)}</small>"
        + (f"<ol>{hits}</ol>" if hits else "<p>Nothing was found.</p>")
        + (f"<small>Relevant, and not among these:</small><ul>{left}</ul>" if left else "")
        + "</article>"
    )


def _ranks(found: Evaluation, question: str, document: str) -> str:
    """Where each run has a document, as HTML."""
    said = []
    for run in found.runs:
        ids = run.rankings[question].ids
        rank = f"rank {ids.index(document) + 1}" if document in ids else f"not in {run.k:,}"
        said.append(f"{run.name}: {rank}")
    return escape(", ".join(said))


def _document(document: str, texts: Mapping[str, str]) -> str:
    body = texts.get(document)
    said = "" if body is None else f' <span dir="auto">{_cut(body)}</span>'
    return f"<code>{escape(document)}</code>{said}"


def _cut(text: str) -> str:
    """The beginning of a text on one line, as HTML."""
    plain = " ".join(text[: 4 * _LONGEST].split())
    if len(plain) <= _LONGEST:
        return escape(plain)
    return escape(_LAST_WORD.sub("", plain[:_LONGEST]) + " …")

"""What one way to search finds for all questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from elanus.documents import DocumentStore, Mode, SearchSettings
from elanus.errors import EmbeddingError, ParamError, quoted
from elanus.evaluation._questions import Questions, checked_store, of_type, warn_of_missing
from elanus.progress import ProgressBar
from elanus.schema import (
    as_query,
    checked_vectors,
    choice,
    flag,
    mapping,
    members,
    names,
    number,
    text,
    whole,
)

_EMBEDDED_AT_ONCE = 128
_MODES = get_args(Mode)


@dataclass(frozen=True, slots=True)
class Method:
    """A way to search a store.

    Attributes:
        name: what tables and reports call it.
        mode: ``"hybrid"``, ``"dense"`` or ``"text"``.
        ranker: how hybrid mode fuses, as for ``DocumentStore.search``; None is its default.
        depth: how many hits each leg gives to the fusion; None for what the settings say, 100
            where they say nothing, as a search for up to 25 documents looks at. It is never 4k,
            since a run asks for more documents than users do.
        settings: in place of what is kept with the collection, as for ``DocumentStore.search``.

    Raises:
        ParamError: if the mode is none of these, or name or settings are of another type.
    """

    name: str
    mode: Mode = "hybrid"
    ranker: Any = None
    depth: int | dict[str, int] | None = None
    settings: SearchSettings | None = None

    def __post_init__(self) -> None:
        text("name", self.name)
        choice("mode", self.mode, _MODES)
        if self.settings is not None:
            of_type("settings", SearchSettings, self.settings)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The documents found for one question, best first.

    Attributes:
        ids: of the documents, each there once.
        relevances: what the search said of each, from 0 to 1; empty if it said nothing.

    Raises:
        ParamError: if an id is there twice, if the two are not of one length, or if a value is of
            another type.
    """

    ids: tuple[str, ...]
    relevances: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        ids = tuple(names("ids", self.ids))
        said = members("relevances", "a list of numbers", self.relevances)
        if len(set(ids)) != len(ids):
            twice = next(id_ for id_, count in Counter(ids).items() if count > 1)
            raise ParamError(f"ids: {quoted(twice)} is found more than once")
        if said and len(said) != len(ids):
            raise ParamError(f"{len(said)} relevances for {len(ids)} ids")
        relevances = tuple(float(number("a relevance", share, 0, 1)) for share in said)
        # The fields of a frozen value: what is checked is what is kept.
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "relevances", relevances)


@dataclass(frozen=True, slots=True)
class Run:
    """What a search finds for all questions.

    One of another system is made by hand: ``Run("other", {"q1": Ranking(("d7", "d2"))}, 100)``.

    Attributes:
        name: of the method.
        rankings: by the question's id.
        k: how many documents were asked for.
        mode: the store's mode; empty for another system.
    """

    name: str
    rankings: Mapping[str, Ranking]
    k: int
    mode: str = ""

    def __post_init__(self) -> None:
        text("name", self.name)
        text("mode", self.mode)
        whole("k", self.k, 1)
        for id_, ranking in mapping("rankings", self.rankings).items():
            found = len(of_type(f"rankings[{quoted(id_)}]", Ranking, ranking).ids)
            if found > self.k:
                raise ParamError(f"rankings[{quoted(id_)}] has {found} ids; k={self.k}")


def usual_methods(store: DocumentStore) -> tuple[Method, ...]:
    """The modes of a store, its default first; those without a leg to it are left out."""
    if checked_store(store).dim is None:
        return (Method("text", "text"),)
    return (Method("hybrid"), Method("dense", "dense"), Method("text", "text"))


def run_methods(
    store: DocumentStore,
    questions: Questions,
    methods: Sequence[Method] | None = None,
    *,
    k: int = 100,
    vectors: Any = None,
    progress: bool = False,
) -> tuple[Run, ...]:
    """Search for all questions in several ways; each question is embedded once.

    Warns (``ElanusWarning``) if the store lacks documents that were judged relevant.

    Args:
        store: where to search.
        questions: what to search for.
        methods: the ways; those of ``usual_methods`` if they are left out.
        k: how many documents to ask for; measures look no deeper.
        vectors: (n, dim) the questions' embeddings in their order, if they are known already.
        progress: show a progress bar on standard error.

    Returns:
        A run for each method.

    Raises:
        ParamError: if an argument is wrong, or two methods have one name.
        DataNotMatchException: if the vectors are of another shape.
        EmbeddingMismatchError, EmbeddingError: as ``DocumentStore.search``.
    """
    checked_store(store)
    chosen = checked_methods(usual_methods(store) if methods is None else methods)
    of_type("questions", Questions, questions)
    k = whole("k", k, 1)
    warn_of_missing(store, questions)
    embedded = (
        _embedded(store, questions, vectors) if any(m.mode != "text" for m in chosen) else None
    )
    kept = store.stats().settings.depth
    bar = ProgressBar(
        len(chosen) * len(questions), "searches", shown=flag("progress", progress), timed=True
    )
    runs = []
    for method in chosen:
        rankings = {}
        for place, (id_, question) in enumerate(questions.texts.items()):
            vector = None if embedded is None else embedded[place]
            rankings[id_] = _search(store, question, k, method, vector, kept)
            bar.add(1)
        runs.append(Run(method.name, rankings, k, method.mode))
    return tuple(runs)


def checked_methods(methods: Any) -> list[Method]:
    """Methods as a list.

    Raises:
        ParamError: if there is none, one of another type, or two of one name.
    """
    chosen = members("methods", "a list of Method", methods)
    check_names([of_type("methods", Method, method).name for method in chosen])
    return chosen


def check_names(given: Sequence[str]) -> None:
    """Raise ``ParamError`` if there is no name, or one twice."""
    if not given:
        raise ParamError("nothing to evaluate: give at least one method or run")
    for name, count in Counter(given).items():
        if count > 1:
            raise ParamError(f"there are two of the name {quoted(name)}")


def _search(
    store: DocumentStore,
    question: str,
    k: int,
    method: Method,
    vector: NDArray[Any] | None,
    usual: int | None,
) -> Ranking:
    said = usual if method.settings is None else method.settings.depth or usual
    hits = store.search(
        question, k, method.mode, ranker=method.ranker, vector=vector,
        depth=said if method.depth is None else method.depth, settings=method.settings,
    )  # fmt: skip
    return Ranking(tuple(h.id for h in hits), tuple(h.relevance for h in hits))


def _embedded(
    store: DocumentStore, questions: Questions, vectors: Any
) -> NDArray[np.float32] | None:
    """(n, dim) the questions' vectors; None leaves it to the store to say what it lacks."""
    if store.dim is None:
        return None
    if vectors is not None:
        return checked_vectors("vectors", vectors, len(questions), store.dim)
    embedding = store.embedding
    if embedding is None:
        return None
    # No model takes a lone surrogate.
    texts = [as_query("query", q) for q in questions.texts.values()]
    parts = []
    for start in range(0, len(texts), _EMBEDDED_AT_ONCE):
        part = texts[start : start + _EMBEDDED_AT_ONCE]
        places = range(start, start + len(part))
        call = "encode_queries"
        try:
            with EmbeddingError.around(embedding.name, call, len(part)):
                found = embedding.encode_queries(part)
                source = f"{embedding.name}.{call}"
                parts.append(checked_vectors(source, found, len(part), store.dim))
        except EmbeddingError as error:
            error.renumber(places)
            raise
    return np.concatenate(parts)

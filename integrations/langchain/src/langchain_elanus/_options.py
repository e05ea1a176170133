"""The keyword arguments of a search."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from inspect import signature
from typing import Any, Literal, TypedDict

from langchain_core.documents import Document

from elanus import ParamError
from elanus.arguments import choice, flag, members, number, refuse, whole
from elanus.errors import closest, listed, quoted, shown
from langchain_elanus._where import with_text

Mode = Literal["hybrid", "dense", "text"]
_MODES = ("hybrid", "dense", "text")


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search; a vector store has defaults, and each call may differ.

    Attributes:
        mode: ``"hybrid"``, ``"dense"`` or ``"text"``.
        filter: a dict or an expression over metadata keys; ``expr`` is an alias, and
            ``where_document`` adds Chroma's conditions on the text.
        ranker: how hybrid mode fuses; None for ``AdaptiveRanker``.
        reranker: orders the best hits anew, as that of ``DocumentStore.search``; None for none.
        rerank_top: how many of them it is shown, or k if that is more; None for 50.
        explain: whether documents say, under ``"_elanus"`` in their metadata, why they were found.
        score_threshold: leave out documents of a smaller relevance.
        ids: find only these documents.
        depth: how many hits each leg gives to the fusion.
        fill: in text mode, append the nearest by meaning if fewer than k share a word.
        group_by: a metadata key, or a list of what leads to a value; of the documents with the same
            value there only the best is found.
        context: how many documents before and after each come along, under ``"_elanus"`` in its
            metadata.
        phrases: only documents are found that hold what stands between quotes in the query.
        prefix: the last word of the query also finds words that begin with it.
        typos: a word that no document has also finds those that one edit makes of it.
    """

    mode: Mode = "hybrid"
    filter: str | Mapping[str, Any] | None = None
    ranker: Any = None
    reranker: Any = None
    rerank_top: int | None = None
    explain: bool = False
    score_threshold: float | None = None
    ids: Any = None
    depth: Any = None
    fill: bool = False
    group_by: Any = None
    context: int = 0
    phrases: bool = False
    prefix: bool = False
    typos: bool = False

    def __post_init__(self) -> None:
        choice("mode", self.mode, _MODES)
        for name in ("explain", "fill", "phrases", "prefix", "typos"):
            flag(name, getattr(self, name))
        whole("context", self.context, 0)
        if self.score_threshold is not None:
            number("score_threshold", self.score_threshold, 0, 1)
        if self.reranker is not None:
            _check_hit_reranker(self.reranker)
        if self.rerank_top is not None:
            whole("rerank_top", self.rerank_top, 1)
        if self.fill and self.group_by is not None:
            raise ParamError(
                "fill does not go with group_by: what follows may be of a group that is there "
                "already; say fill=False"
            )
        if self.fill and self.phrases:
            raise ParamError(
                "fill does not go with phrases: what follows need not hold them; say fill=False"
            )

    def asked(self) -> dict[str, Any]:
        """Arguments that a store's ``search`` and ``search_mmr`` share."""
        return {name: getattr(self, name) for name in _SHARED}

    def but(self, call: str, given: Mapping[str, Any], own: Any = ()) -> SearchOptions:
        """These options with those of one call.

        Args:
            call: its name.
            given: its keyword arguments.
            own: the call itself, as for ``check_names``.

        Raises:
            TypeError: naming the arguments that no search has.
        """
        check_names(call, given, (*_NAMES, *_ALIASES), own)
        changed = {name: value for name, value in given.items() if name not in _ALIASES}
        if given.get("expr") is not None:
            if changed.get("filter") is not None:
                raise ParamError(f"{call}: filter and expr are one argument; give either")
            changed["filter"] = given["expr"]
        if given.get("where_document") is not None:
            condition = changed.get("filter", self.filter)
            changed["filter"] = with_text(call, condition, given["where_document"])
        if changed.get("mode", "") is None:
            del changed["mode"]
        return replace(self, **changed)


class SearchKeywords(TypedDict, total=False):
    """The options of one call as its keyword arguments, for type checkers.

    Only of calls whose signature LangChain leaves open: those that take its ``**kwargs: Any`` by
    contract have to take any name from a type checker, and refuse it when they run.
    """

    mode: Mode | None
    filter: str | Mapping[str, Any] | None
    expr: str | Mapping[str, Any] | None
    where_document: Mapping[str, Any] | None
    ranker: Any
    reranker: Any
    rerank_top: int | None
    explain: bool
    score_threshold: float | None
    ids: Sequence[str] | str | None
    depth: int | dict[str, int] | None
    fill: bool
    group_by: str | Sequence[str | int] | None
    context: int
    phrases: bool
    prefix: bool
    typos: bool


_SHARED = (
    *("filter", "ranker", "ids", "explain", "group_by"),
    *("context", "phrases", "prefix", "typos"),
)
_ALIASES = ("expr", "where_document")
_NAMES = tuple(field.name for field in fields(SearchOptions))
# What other stores call an argument, where its name here is not alike.
_ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(("limit", "top_k", "n_results", "similarity_top_k"), "k"),
    **dict.fromkeys(("path", "persist_directory", "db_path"), "uri"),
    **dict.fromkeys(("where", "expr"), "filter"),
    **dict.fromkeys(("min_relevance", "min_score", "threshold"), "score_threshold"),
    **dict.fromkeys(("embedding_function", "embeddings"), "embedding"),
}


def _check_hit_reranker(reranker: Any) -> None:
    # A class is not yet a reranker.
    can_predict = callable(getattr(reranker, "predict", None))
    if isinstance(reranker, type) or not (can_predict or callable(reranker)):
        raise ParamError(
            "reranker must have predict(pairs), or be callable as reranker(query, texts), "
            f"got {shown(reranker)}"
        )


def check_reranker(reranker: Any) -> None:
    """Check that a reranker can be asked.

    Raises:
        ParamError: naming it, if it cannot be called.
    """
    # A class is not yet a reranker.
    if isinstance(reranker, type) or not callable(reranker):
        raise ParamError(
            f"reranker must be callable as reranker(query, texts, top_k=n), got {shown(reranker)}"
        )


def checked_documents(documents: Any) -> list[Document]:
    """Documents of LangChain as a list.

    Raises:
        ParamError: naming what is none.
    """
    found = members("documents", "a list of Documents", documents)
    for i, each in enumerate(found):
        if not isinstance(each, Document):
            refuse(f"documents[{i}]", "a Document", each)
    return found


def check_names(call: str, given: Mapping[Any, Any], known: Collection[str], own: Any = ()) -> None:
    """Refuse arguments that would otherwise be dropped.

    Args:
        call: for the error.
        given: the arguments that the signature does not name.
        known: those of them that exist.
        own: the call itself, whose signature names others that may have been meant.

    Raises:
        TypeError: naming them, those that exist, and the one that may be meant.
    """
    unknown = [name if isinstance(name, str) else quoted(name) for name in given.keys() - known]
    if unknown:
        names = [*_own_names(own), *sorted(known)]
        first = min(unknown)
        stand_for = {name: name for name in names} | {
            other: meant
            for other, meant in _ELSEWHERE.items()
            if meant in names and other not in names
        }
        found = stand_for.get(closest(first, stand_for) or "")
        hint = "" if found is None else f"; did you mean {found!r}?"
        raise TypeError(
            f"{call}() got unexpected arguments: {listed(sorted(unknown))}; known: "
            f"{', '.join(dict.fromkeys(names))}{hint}"
        )


def _own_names(call: Any) -> list[str]:
    if not callable(call):
        return list(call)
    parameters = list(signature(call).parameters.values())
    return [
        each.name
        for each in parameters
        if each.name != "self" and each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
    ]

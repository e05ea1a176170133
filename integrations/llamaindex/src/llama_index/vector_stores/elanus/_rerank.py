"""The rerankers of ``elanus_embeddings`` as a LlamaIndex postprocessor."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Protocol

from llama_index.core.bridge.pydantic import ConfigDict, Field, field_validator, model_validator
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseComponent, MetadataMode, NodeWithScore, QueryBundle

from elanus import ElanusError, ParamError
from elanus.arguments import as_query, members, number, whole
from elanus.errors import RerankError, quoted, shown
from llama_index.vector_stores.elanus._short import ShortRepr

_LARGEST = sys.float_info.max


class Reranked(Protocol):
    """One result of a reranker."""

    @property
    def index(self) -> int:
        """Place of the text in the list that was given."""

    @property
    def score(self) -> float:
        """How well it answers; larger is better."""


class Reranker(Protocol):
    """Scores texts against a query, best first: every reranker of ``elanus_embeddings`` does."""

    def __call__(self, query: str, documents: list[str], top_k: int) -> Sequence[Reranked]:
        """The ``top_k`` best of ``documents``, best first."""


def check_reranker(reranker: Any) -> None:
    """Raise ``ParamError`` unless it can be called; a class is not yet a reranker."""
    if isinstance(reranker, type) or not callable(reranker):
        raise ParamError(
            "reranker must be a callable of (query, documents, top_k), as "
            f"CrossEncoderRerankFunction() of elanus_embeddings, got {shown(reranker)}"
        )


def check_hit_reranker(reranker: Any) -> None:
    """Raise ``ParamError`` unless a search can ask it, as ``DocumentStore.search`` does."""
    can_predict = callable(getattr(reranker, "predict", None))
    if isinstance(reranker, type) or not (can_predict or callable(reranker)):
        raise ParamError(
            "reranker must have predict(pairs), or be a callable of (query, texts), as "
            f"CrossEncoderRerankFunction() of elanus_embeddings, got {shown(reranker)}"
        )


def order_of(reranker: Any, results: Any, count: int) -> list[tuple[int, float]]:
    """The places and scores of what a reranker gave for so many texts.

    Raises:
        ParamError: naming the reranker, if that is no list of results.
    """
    try:
        found = [
            (
                whole("index", each.index, -(2**63)),
                float(number("score", each.score, -_LARGEST, _LARGEST)),
            )
            for each in members("results", "a list", results)
        ]
    except (AttributeError, OverflowError, ParamError) as error:
        raise ParamError(
            f"reranker {quoted(reranker)} gave {shown(results)}; it must give a list of results, "
            "each with an integer index and a score, which is a finite number"
        ) from error
    for place, _ in found:
        if not 0 <= place < count:
            raise ParamError(
                f"reranker {quoted(reranker)} gave the index {quoted(place)} for {count} texts; "
                f"indexes go from 0 to {count - 1}"
            )
    return found


class ElanusRerank(ShortRepr, BaseNodePostprocessor):
    """Puts retrieved nodes in the order in which a reranker sees them.

    The reranker reads a node's text with the metadata that an embedding model would see. The
    score of a node becomes the reranker's; nodes that come in are not changed.

    Args:
        reranker: as ``CrossEncoderRerankFunction`` of ``elanus_embeddings``: any callable that
            takes query, documents and ``top_k``, and gives results with ``index`` and ``score``.
        top_n: how many nodes to keep at most.

    Raises:
        ValueError: naming an argument that is wrong or does not exist.

    Example:
        >>> from collections import namedtuple
        >>> from llama_index.core.schema import NodeWithScore, TextNode
        >>> Result = namedtuple("Result", "text score index")
        >>> def longest(query, documents, top_k):
        ...     found = [Result(text, len(text), i) for i, text in enumerate(documents)]
        ...     return sorted(found, key=lambda each: -each.score)[:top_k]
        >>> nodes = [NodeWithScore(node=TextNode(text=text)) for text in ("owl", "kestrel")]
        >>> best = ElanusRerank(reranker=longest, top_n=1).postprocess_nodes(nodes, query_str="?")
        >>> [(each.text, each.score) for each in best]
        [('kestrel', 7.0)]
    """

    model_config = ConfigDict(extra="forbid")

    reranker: Any = Field(exclude=True)
    top_n: int = Field(default=5, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _without_class_name(cls, fields: Any) -> Any:
        # pydantic's own loading hands over what LlamaIndex adds when it dumps.
        if isinstance(fields, dict):
            return {key: value for key, value in fields.items() if key != "class_name"}
        return fields

    @field_validator("top_n", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> int:
        # Before pydantic, which would read "3" as 3, and True as 1.
        return whole("top_n", value, 1)

    @field_validator("reranker")
    @classmethod
    def _callable(cls, reranker: Any) -> Any:
        check_reranker(reranker)
        return reranker

    def __getstate__(self) -> dict[Any, Any]:
        # Not LlamaIndex's own form, which takes what cannot be pickled away from this object, and
        # leaves a copy without it: so the reranker says why it cannot be pickled.
        return super(BaseComponent, self).__getstate__()

    @classmethod
    def class_name(cls) -> str:
        """Name of the class in what LlamaIndex serialises."""
        return "ElanusRerank"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise ParamError("ElanusRerank needs the query: give query_bundle or query_str")
        # Again: nobody checks what is assigned, or given to model_copy.
        most = whole("top_n", self.top_n, 1)
        if not nodes:
            return []
        payload: dict[str, Any] = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: type(self.reranker).__name__,
            EventPayload.QUERY_STR: query_bundle.query_str,
            EventPayload.TOP_K: most,
        }
        with self.callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
            texts = [each.node.get_content(metadata_mode=MetadataMode.EMBED) for each in nodes]
            query = as_query("query_str", query_bundle.query_str)
            try:
                results = self.reranker(query, texts, top_k=most)
                order = order_of(self.reranker, results, len(texts))
            except ElanusError:
                raise
            except Exception as error:  # a reranker is anybody's code
                raise RerankError.failed(self.reranker, error, nodes) from error
            best = [NodeWithScore(node=nodes[place].node, score=score) for place, score in order]
            event.on_end(payload={EventPayload.NODES: best})
        return best

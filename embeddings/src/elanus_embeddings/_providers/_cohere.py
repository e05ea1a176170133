"""Cohere's embed and rerank APIs, version 2.

Format: https://docs.cohere.com/reference/embed and https://docs.cohere.com/reference/rerank
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elanus.arguments import choice, names
from elanus.errors import UnsupportedError, quoted
from elanus_embeddings._http import RetryPolicy
from elanus_embeddings._providers._embedding import HttpEmbeddingFunction, Purpose
from elanus_embeddings._providers._flow import Limits
from elanus_embeddings._providers._provider import Provider
from elanus_embeddings._providers._reranking import HttpRerankFunction

# Cohere's own client reads the first; Milvus documents the second.
_COHERE = Provider("Cohere", "https://api.cohere.com", ("CO_API_KEY", "COHERE_API_KEY"))

# 96 texts are the documented limit. There is none on their length, of which far more than the
# context of a model would be cut anyway.
_EMBED_LIMITS = Limits(items=96, size=1_000_000)
_RERANK_LIMITS = Limits(items=1000, size=2_000_000)

_DIMENSIONS = {
    "embed-english-light-v2.0": 1024,
    "embed-english-light-v3.0": 384,
    "embed-english-v2.0": 4096,
    "embed-english-v3.0": 1024,
    "embed-multilingual-light-v3.0": 384,
    "embed-multilingual-v2.0": 768,
    "embed-multilingual-v3.0": 1024,
    "embed-v4.0": 1536,
}

_INPUT_TYPES = ("search_document", "search_query", "classification", "clustering")
_TRUNCATE = ("NONE", "START", "END")


class CohereEmbeddingFunction(HttpEmbeddingFunction):
    """Cohere's embedding models.

    ``encode_documents`` sends the input type ``search_document``, ``encode_queries`` sends
    ``search_query``.

    Args:
        model_name: the model.
        api_key: the key. None takes the environment variable ``CO_API_KEY``, or
            ``COHERE_API_KEY``, for Cohere's own server.
        input_type: what calling the object itself sends: ``search_document``, ``search_query``,
            ``classification`` or ``clustering``.
        embedding_types: None or ``["float"]``; there are no other vectors here.
        truncate: what becomes of a text that is longer than the model's context: ``END`` or
            ``START`` is cut off, ``NONE`` refuses it; None leaves it to the server (``END``).
        base_url: the root of the API, up to ``/v2/embed``; None for Cohere's own server.
        dimensions: the components of a vector, for embed-v4.0 and later models.
        dim: the components of the vectors of a model that is not known here. It is not sent.
        batch_size: texts in one request at most; None for Cohere's limit, 96.
        timeout: seconds to wait for a connection, and for each piece of an answer.
        retry: when to try again; None for ``RetryPolicy()``.

    Raises:
        ParamError: a value is wrong, or no key is found.
        MissingExtraError: the extra ``http`` is not installed.
    """

    def __init__(
        self,
        model_name: str = "embed-english-light-v3.0",
        api_key: str | None = None,
        input_type: str = "search_document",
        embedding_types: Sequence[str] | None = None,
        truncate: str | None = None,
        *,
        base_url: str | None = None,
        dimensions: int | None = None,
        dim: int | None = None,
        batch_size: int | None = None,
        timeout: float = 60.0,
        retry: RetryPolicy | None = None,
    ) -> None:
        input_type = choice("input_type", input_type, _INPUT_TYPES)
        if embedding_types is not None and names("embedding_types", embedding_types) != ["float"]:
            raise UnsupportedError(
                f"embedding_types={quoted(embedding_types)}: only ['float'] is there"
            )
        truncate = None if truncate is None else choice("truncate", truncate, _TRUNCATE)
        self._input_types: dict[Purpose, str] = {
            "document": "search_document",
            "query": "search_query",
            "call": input_type,
        }
        self._truncate = truncate
        super().__init__(
            model_name,
            _COHERE.connect(
                "/v2/embed", api_key=api_key, base_url=base_url, timeout=timeout, retry=retry
            ),
            _EMBED_LIMITS,
            known=_DIMENSIONS,
            dimensions=dimensions,
            dim=dim,
            batch_size=batch_size,
        )

    def _payload(self, texts: list[str], purpose: Purpose) -> dict[str, Any]:
        payload: dict[str, Any] = {
            "model": self._model,
            "texts": texts,
            "input_type": self._input_types[purpose],
            "embedding_types": ["float"],
        }
        if self._truncate is not None:
            payload["truncate"] = self._truncate
        if self._asked is not None:
            payload["output_dimension"] = self._asked
        return payload

    def _vectors(self, body: Any, count: int) -> list[Any]:  # noqa: ARG002 - in the texts' order
        return list(body["embeddings"]["float"])

    def _variants(self) -> list[str]:
        # NONE gives END's vectors or none at all.
        return ["truncate=START"] if self._truncate == "START" else []


class CohereRerankFunction(HttpRerankFunction):
    """Cohere's rerankers; scores are from 0 to 1.

    Args:
        model_name: the model.
        api_key: as for ``CohereEmbeddingFunction``.
        return_documents: whether results have their ``text``; it is never sent back and forth.
        base_url: the root of the API, up to ``/v2/rerank``; None for Cohere's own server.
        timeout: seconds to wait for a connection, and for each piece of an answer.
        retry: when to try again; None for ``RetryPolicy()``.

    Raises:
        ParamError: a value is wrong, or no key is found.
        MissingExtraError: the extra ``http`` is not installed.
    """

    def __init__(
        self,
        model_name: str = "rerank-english-v3.0",
        api_key: str | None = None,
        return_documents: bool = True,
        *,
        base_url: str | None = None,
        timeout: float = 60.0,
        retry: RetryPolicy | None = None,
    ) -> None:
        endpoint = _COHERE.connect(
            "/v2/rerank", api_key=api_key, base_url=base_url, timeout=timeout, retry=retry
        )
        super().__init__(model_name, endpoint, _RERANK_LIMITS, return_documents=return_documents)

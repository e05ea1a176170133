"""Voyage AI's embedding and reranker APIs.

Format: https://docs.voyageai.com/reference/embeddings-api and
https://docs.voyageai.com/reference/reranker-api
"""

from __future__ import annotations

from typing import Any

from elanus.arguments import flag, text
from elanus.errors import UnsupportedError, quoted
from elanus_embeddings._http import RetryPolicy
from elanus_embeddings._providers._embedding import HttpEmbeddingFunction, Purpose, by_index
from elanus_embeddings._providers._flow import Limits
from elanus_embeddings._providers._provider import Provider, checked_name
from elanus_embeddings._providers._reranking import HttpRerankFunction

_VOYAGE = Provider("Voyage", "https://api.voyageai.com/v1", ("VOYAGE_API_KEY",))

_MOST_TEXTS = 1000

# Tokens of one request, where they are not the strictest limit.
_TOKENS = {
    "voyage-2": 320_000,
    "voyage-3": 320_000,
    "voyage-3-lite": 1_000_000,
    "voyage-3.5": 320_000,
    "voyage-3.5-lite": 1_000_000,
    "voyage-4": 320_000,
    "voyage-4-lite": 1_000_000,
}
_STRICTEST = 120_000
_RERANK_TOKENS = {"rerank-1": 300_000, "rerank-lite-1": 300_000}
_MOST_RERANK_TOKENS = 600_000

_DIMENSIONS = {
    "voyage-2": 1024,
    "voyage-3": 1024,
    "voyage-3-large": 1024,
    "voyage-3-lite": 512,
    "voyage-3.5": 1024,
    "voyage-3.5-lite": 1024,
    "voyage-4": 1024,
    "voyage-4-large": 1024,
    "voyage-4-lite": 1024,
    "voyage-code-2": 1536,
    "voyage-code-3": 1024,
    "voyage-finance-2": 1024,
    "voyage-large-2": 1536,
    "voyage-law-2": 1024,
    "voyage-multilingual-2": 1024,
}


class VoyageEmbeddingFunction(HttpEmbeddingFunction):
    """Voyage AI's embedding models; vectors have unit length.

    ``encode_documents`` sends the input type ``document``, ``encode_queries`` sends ``query``.

    Args:
        model_name: the model.
        api_key: the key. None takes the environment variable ``VOYAGE_API_KEY`` for Voyage's own
            server.
        embedding_type: None or ``"float"``; there are no other vectors here.
        truncate: whether a text that is longer than the model's context is cut (True) or refused
            (False); None leaves it to the server (True).
        dimension: the components of a vector, for models that offer several.
        base_url: the root of the API, up to ``/embeddings``; None for Voyage's own server.
        dim: the components of the vectors of a model that is not known here. It is not sent.
        batch_size: texts in one request at most; None for Voyage's limit, 1000.
        timeout: seconds to wait for a connection, and for each piece of an answer.
        retry: when to try again; None for ``RetryPolicy()``.

    Raises:
        ParamError: a value is wrong, or no key is found.
        MissingExtraError: the extra ``http`` is not installed.
    """

    def __init__(
        self,
        model_name: str = "voyage-3-large",
        api_key: str | None = None,
        embedding_type: str | None = None,
        truncate: bool | None = None,
        dimension: int | None = None,
        *,
        base_url: str | None = None,
        dim: int | None = None,
        batch_size: int | None = None,
        timeout: float = 60.0,
        retry: RetryPolicy | None = None,
    ) -> None:
        if embedding_type is not None and text("embedding_type", embedding_type) != "float":
            raise UnsupportedError(
                f"embedding_type={quoted(embedding_type)}: only 'float' is there"
            )
        self._truncate = None if truncate is None else flag("truncate", truncate)
        super().__init__(
            model_name,
            _VOYAGE.connect(
                "/embeddings", api_key=api_key, base_url=base_url, timeout=timeout, retry=retry
            ),
            Limits(_MOST_TEXTS, _TOKENS.get(checked_name(model_name), _STRICTEST)),
            known=_DIMENSIONS,
            dimensions=dimension,
            dim=dim,
            batch_size=batch_size,
        )

    def _payload(self, texts: list[str], purpose: Purpose) -> dict[str, Any]:
        payload: dict[str, Any] = {
            "model": self._model,
            "input": texts,
            "input_type": "query" if purpose == "query" else "document",
        }
        if self._truncate is not None:
            payload["truncation"] = self._truncate
        if self._asked is not None:
            payload["output_dimension"] = self._asked
        return payload

    def _vectors(self, body: Any, count: int) -> list[Any]:
        return by_index(body["data"], count)


class VoyageRerankFunction(HttpRerankFunction):
    """Voyage AI's rerankers; scores are from 0 to 1.

    Args:
        model_name: the model.
        api_key: as for ``VoyageEmbeddingFunction``.
        base_url: the root of the API, up to ``/rerank``; None for Voyage's own server.
        timeout: seconds to wait for a connection, and for each piece of an answer.
        retry: when to try again; None for ``RetryPolicy()``.

    Raises:
        ParamError: a value is wrong, or no key is found.
        MissingExtraError: the extra ``http`` is not installed.
    """

    _top = "top_k"
    _results = "data"

    def __init__(
        self,
        model_name: str = "rerank-2",
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float = 60.0,
        retry: RetryPolicy | None = None,
    ) -> None:
        endpoint = _VOYAGE.connect(
            "/rerank", api_key=api_key, base_url=base_url, timeout=timeout, retry=retry
        )
        tokens = _RERANK_TOKENS.get(checked_name(model_name), _MOST_RERANK_TOKENS)
        super().__init__(model_name, endpoint, Limits(_MOST_TEXTS, tokens))

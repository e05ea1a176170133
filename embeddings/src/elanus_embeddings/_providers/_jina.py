"""Jina AI's embedding and reranker APIs.

Format: https://api.jina.ai/openapi.json
"""

from __future__ import annotations

from typing import Any

from elanus.arguments import flag, text
from elanus.errors import ParamError
from elanus_embeddings._http import RetryPolicy
from elanus_embeddings._providers._embedding import HttpEmbeddingFunction, Purpose, by_index
from elanus_embeddings._providers._flow import Limits
from elanus_embeddings._providers._provider import Provider
from elanus_embeddings._providers._reranking import HttpRerankFunction

# Jina documents the first; Milvus documents the second.
_JINA = Provider("Jina", "https://api.jina.ai/v1", ("JINA_API_KEY", "JINAAI_API_KEY"))

# 512 texts are the limit of the later models, and a quarter of that of the earlier ones.
_EMBED_LIMITS = Limits(items=512, size=1_000_000)
_RERANK_LIMITS = Limits(items=1000, size=2_000_000)

_DIMENSIONS = {
    "jina-clip-v1": 768,
    "jina-clip-v2": 1024,
    "jina-embeddings-v2-base-code": 768,
    "jina-embeddings-v2-base-de": 768,
    "jina-embeddings-v2-base-en": 768,
    "jina-embeddings-v2-base-es": 768,
    "jina-embeddings-v2-base-zh": 768,
    "jina-embeddings-v2-small-en": 512,
    "jina-embeddings-v3": 1024,
    "jina-embeddings-v4": 2048,
}

# Models of before the tasks.
_WITHOUT_TASKS = ("jina-embeddings-v2", "jina-clip-v1")
_PASSAGE, _QUERY = ".passage", ".query"
_RETRIEVAL = "retrieval"


class JinaEmbeddingFunction(HttpEmbeddingFunction):
    """Jina AI's embedding models.

    ``encode_documents`` sends the task ``retrieval.passage``, ``encode_queries`` sends
    ``retrieval.query``.

    Args:
        model_name: the model. Those of the second generation are sent no task: they have none.
        api_key: the key. None takes the environment variable ``JINA_API_KEY``, or
            ``JINAAI_API_KEY``, for Jina's own server.
        task: what calling the object itself sends. One that ends in ``.passage`` replaces
            ``retrieval.passage`` for documents too, and with ``.query`` at its end for queries:
            ``code.passage`` makes them ``code.passage`` and ``code.query``. None sends no task.
        dimensions: the components of a vector, for models that offer several.
        late_chunking: encode all documents of a call as pieces of one long text, each in the light
            of the others (Günther et al. 2024, "Late Chunking"). They are then sent in one
            request, and must fit into one. Queries are not treated so.
        base_url: the root of the API, up to ``/embeddings``; None for Jina's own server.
        dim: the components of the vectors of a model that is not known here. It is not sent.
        batch_size: texts in one request at most; None for Jina's limit, 512.
        timeout: seconds to wait for a connection, and for each piece of an answer.
        retry: when to try again; None for ``RetryPolicy()``.

    Raises:
        ParamError: a value is wrong, or no key is found.
        MissingExtraError: the extra ``http`` is not installed.
    """

    def __init__(
        self,
        model_name: str = "jina-embeddings-v3",
        api_key: str | None = None,
        task: str | None = "retrieval.passage",
        dimensions: int | None = None,
        late_chunking: bool = False,
        *,
        base_url: str | None = None,
        dim: int | None = None,
        batch_size: int | None = None,
        timeout: float = 60.0,
        retry: RetryPolicy | None = None,
    ) -> None:
        task = None if task is None else text("task", task)
        if task == "":
            raise ParamError("task must be None or a string such as 'retrieval.passage', got ''")
        super().__init__(
            model_name,
            _JINA.connect(
                "/embeddings", api_key=api_key, base_url=base_url, timeout=timeout, retry=retry
            ),
            _EMBED_LIMITS,
            known=_DIMENSIONS,
            dimensions=dimensions,
            dim=dim,
            batch_size=batch_size,
        )
        self._has_tasks = not model_name.startswith(_WITHOUT_TASKS)
        self._task = task if self._has_tasks else None
        self._late_chunking = flag("late_chunking", late_chunking)

    def _payload(self, texts: list[str], purpose: Purpose) -> dict[str, Any]:
        payload: dict[str, Any] = {"model": self._model, "input": texts}
        if self._task is not None:
            payload["task"] = self._task_of(purpose, self._task)
        if self._asked is not None:
            payload["dimensions"] = self._asked
        if not self._divisible(purpose):
            payload["late_chunking"] = True
        return payload

    def _task_of(self, purpose: Purpose, task: str) -> str:
        if purpose == "call":
            return task
        return self._family(task) + (_QUERY if purpose == "query" else _PASSAGE)

    def _family(self, task: str) -> str:
        return task.removesuffix(_PASSAGE) if task.endswith(_PASSAGE) else _RETRIEVAL

    def _vectors(self, body: Any, count: int) -> list[Any]:
        return by_index(body["data"], count)

    def _variants(self) -> list[str]:
        family = "none" if self._task is None else self._family(self._task)
        usual = family == _RETRIEVAL or not self._has_tasks
        variants = [] if usual else [f"task={family}"]
        return [*variants, "late_chunking"] if self._late_chunking else variants

    def _divisible(self, purpose: Purpose) -> bool:
        return not self._late_chunking or purpose == "query"

    def _batches(self, texts: list[str], purpose: Purpose) -> list[slice]:
        batches = super()._batches(texts, purpose)
        if not self._divisible(purpose) and len(batches) > 1:
            raise ParamError(
                f"late_chunking: {len(texts)} texts exceed one request, and would lose their "
                "context if they were split; encode the pieces of one document at a time"
            )
        return batches


class JinaRerankFunction(HttpRerankFunction):
    """Jina AI's rerankers; scores are from 0 to 1.

    Args:
        model_name: the model.
        api_key: as for ``JinaEmbeddingFunction``.
        base_url: the root of the API, up to ``/rerank``; None for Jina's own server.
        timeout: seconds to wait for a connection, and for each piece of an answer.
        retry: when to try again; None for ``RetryPolicy()``.

    Raises:
        ParamError: a value is wrong, or no key is found.
        MissingExtraError: the extra ``http`` is not installed.
    """

    def __init__(
        self,
        model_name: str = "jina-reranker-v2-base-multilingual",
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float = 60.0,
        retry: RetryPolicy | None = None,
    ) -> None:
        endpoint = _JINA.connect(
            "/rerank", api_key=api_key, base_url=base_url, timeout=timeout, retry=retry
        )
        super().__init__(model_name, endpoint, _RERANK_LIMITS)

    def _payload(self, query: str, documents: list[str], top: int) -> dict[str, Any]:
        # The texts are here already.
        return {**super()._payload(query, documents, top), "return_documents": False}

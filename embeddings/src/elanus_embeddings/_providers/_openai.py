"""OpenAI's embeddings API, and the servers that speak it.

Format: https://platform.openai.com/docs/api-reference/embeddings/create
"""

from __future__ import annotations

from typing import Any

from elanus_embeddings._http import RetryPolicy
from elanus_embeddings._providers._embedding import HttpEmbeddingFunction, Purpose, by_index
from elanus_embeddings._providers._flow import Limits
from elanus_embeddings._providers._provider import Provider

_OPENAI = Provider("OpenAI", "https://api.openai.com/v1", ("OPENAI_API_KEY",))

# Inputs in one request, and tokens in all of them together.
_LIMITS = Limits(items=2048, size=300_000)

_DIMENSIONS = {
    "text-embedding-3-large": 3072,
    "text-embedding-3-small": 1536,
    "text-embedding-ada-002": 1536,
}


class OpenAIEmbeddingFunction(HttpEmbeddingFunction):
    """OpenAI's embedding models, or those of any server with the same API.

    Such servers are, with their usual ``base_url``: Ollama (``http://localhost:11434/v1``), vLLM
    (``http://localhost:8000/v1``) and Text Embeddings Inference (``http://localhost:8080/v1``,
    which takes 32 texts at once unless it is told otherwise: ``batch_size=32``).

    Documents and queries are treated alike: the API has no input types.

    Args:
        model_name: the model, under the server's name for it.
        api_key: the key. None takes the environment variable ``OPENAI_API_KEY`` for OpenAI's own
            server, and none for any other, which must not see that key.
        base_url: the root of the API, up to ``/embeddings``; None for OpenAI's own server.
        dimensions: shorten the vectors to this many components; the models of the third generation
            can, and few of other servers.
        dim: the components of the model's vectors, if the model is not OpenAI's. It is not sent.
            Without it, ``dim`` is known after the first answer, or after ``probe()``.
        batch_size: texts in one request at most; None for OpenAI's limit, 2048.
        timeout: seconds to wait for a connection, and for each piece of an answer.
        retry: when to try again; None for ``RetryPolicy()``.

    Raises:
        ParamError: a value is wrong, or no key is found.
        MissingExtraError: the extra ``http`` is not installed.

    Example:
        >>> from elanus_embeddings import OpenAIEmbeddingFunction
        >>> embed = OpenAIEmbeddingFunction("nomic-embed-text", base_url="http://localhost:11434/v1")
        >>> embed.name
        'openai/nomic-embed-text'
    """

    def __init__(
        self,
        model_name: str = "text-embedding-ada-002",
        api_key: str | None = None,
        base_url: str | None = None,
        dimensions: int | None = None,
        *,
        dim: int | None = None,
        batch_size: int | None = None,
        timeout: float = 60.0,
        retry: RetryPolicy | None = None,
    ) -> None:
        super().__init__(
            model_name,
            _OPENAI.connect(
                "/embeddings", api_key=api_key, base_url=base_url, timeout=timeout, retry=retry
            ),
            _LIMITS,
            known=_DIMENSIONS,
            dimensions=dimensions,
            dim=dim,
            batch_size=batch_size,
        )

    def _payload(self, texts: list[str], purpose: Purpose) -> dict[str, Any]:  # noqa: ARG002 - none
        asked = {} if self._asked is None else {"dimensions": self._asked}
        return {"model": self._model, "input": texts, **asked}

    def _vectors(self, body: Any, count: int) -> list[Any]:
        return by_index(body["data"], count)

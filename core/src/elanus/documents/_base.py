"""What every call of a store stands on: the client, the collection and its embedding."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.client import MilvusClient, Worker
from elanus.documents._collection import VECTOR, open_collection
from elanus.documents._input import check_embedding
from elanus.documents._search import FIELDS
from elanus.documents._values import EmbeddingFunction
from elanus.errors import EmbeddingMismatchError, ParamError, quoted
from elanus.schema import checked_vectors, flag, refuse, text, whole

DEFAULT_URI = "./elanus.db"
_OPTIONS = ("read_only", "durability", "timeout", "journal", "user", "password", "token", "db_name")


class BaseStore:
    """Opening and closing; see ``DocumentStore`` for the arguments."""

    def __init__(
        self,
        uri: str | os.PathLike[str] | None = None,
        embedding: EmbeddingFunction | None = None,
        collection: str = "documents",
        analyzer: Any = None,
        *,
        dim: int | None = None,
        client: MilvusClient | None = None,
        **options: Any,
    ) -> None:
        if embedding is not None:
            check_embedding(embedding)
        if dim is not None:
            dim = whole("dim", dim, 1)
        if embedding is not None and dim not in (None, embedding.dim):
            raise ParamError(
                f"dim={dim}, but embedding {quoted(embedding.name)} has {embedding.dim}"
            )
        unknown = sorted(options.keys() - _OPTIONS)
        if unknown:
            raise ParamError(
                f"unknown argument {quoted(unknown[0])}; options: {', '.join(_OPTIONS)}"
            )
        if client is not None and not isinstance(client, MilvusClient):
            refuse("client", "a MilvusClient", client)
        given = sorted(options) + ["uri"] * (uri is not None)
        if client is not None and given:
            raise ParamError(f"give a client or {', '.join(given)}, not both")
        self._owns_client = client is None
        self._client = (
            MilvusClient(DEFAULT_URI if uri is None else uri, **options)
            if client is None
            else client
        )
        self._collection = text("collection", collection)
        self._embedding = embedding
        self._worker = Worker("elanus-documents")
        try:
            self._layout = open_collection(self._client, collection, embedding, dim, analyzer)
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"DocumentStore({self._client!r}, collection={quoted(self._collection)})"

    @property
    def client(self) -> MilvusClient:
        """The client underneath."""
        return self._client

    @property
    def collection(self) -> str:
        """Name of the collection in the file."""
        return self._collection

    @property
    def embedding(self) -> EmbeddingFunction | None:
        """The embedding function that the store was opened with."""
        return self._embedding

    @property
    def dim(self) -> int | None:
        """Number of components of the stored vectors; None if the store has none."""
        return self._layout.dim

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        if self._owns_client:
            self._client.close()
        self._worker.close()

    def verify(self) -> list[str]:
        """Check the whole file against itself; the faults found, none if it is sound."""
        return self._client.verify()

    def _fields(self, *, with_vectors: bool) -> list[str]:
        wanted = flag("with_vectors", with_vectors)
        return [*FIELDS, VECTOR] if wanted and self._layout.dim else [*FIELDS]

    def _query_vector(self, query: str, vector: Any) -> NDArray[np.float32]:
        """The query's embedding (1, dim): the given one, or the model's."""
        dim = self._needed_dim()
        if vector is not None:
            return checked_vectors("vector", [vector], 1, dim)
        embedding = self._needed_embedding()
        # Closed, or dropped: to be known before the query is paid for.
        self._client.describe_collection(self._collection)
        # No model takes a lone surrogate, and a query is never refused for what it says.
        found = embedding.encode_queries([query.encode(errors="replace").decode()])
        return checked_vectors(f"{embedding.name}.encode_queries", found, 1, dim)

    def _needed_embedding(self) -> EmbeddingFunction:
        if self._embedding is not None:
            return self._embedding
        self._needed_dim()
        model = self._layout.model
        if model is not None:
            raise EmbeddingMismatchError(
                f"{self!r} was opened without an embedding function, and holds vectors of "
                f"{quoted(model)}: open it with that model, or give the vectors"
            )
        raise EmbeddingMismatchError(
            f"{self!r} was opened without an embedding function: give the vectors of the "
            f"documents and of the query ({self._layout.dim} d), or open it with their model"
        )

    def _needed_dim(self) -> int:
        if self._layout.dim is None:
            raise EmbeddingMismatchError(
                f"{self!r} was made without an embedding function and holds no vectors: make it "
                "with one or with dim=…, or search with mode='text'"
            )
        return self._layout.dim

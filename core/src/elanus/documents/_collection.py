"""How documents are laid out in a collection, and what a file says of the model that filled it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from elanus.client import MilvusClient
from elanus.documents._values import Document, EmbeddingFunction
from elanus.errors import (
    CollectionNotFoundError,
    EmbeddingMismatchError,
    ParamError,
    cut,
    likely,
    quoted,
)
from elanus.schema import (
    DEFAULT_URI,
    MAX_LENGTH,
    CollectionSchema,
    DataType,
    Function,
    FunctionType,
    names_something,
    refuse,
    text,
)
from elanus.text import analyzer_name, build_analyzer

ID, TEXT, METADATA, VECTOR, TERMS = "id", "text", "metadata", "vector", "terms"

FIELDS = (ID, TEXT, METADATA)
"""What every document is read with."""

TITLE, TITLE_TERMS = "title", "title_terms"
"""Fields of a collection whose documents have titles: the text under a key of their metadata."""

DEFAULT_ANALYZER = "multilingual"
"""That of a new collection; one that exists keeps the analyzer that it was made with."""


class ClientOptions(TypedDict, total=False):
    """What a store hands on to the client that it opens, for type checkers; see ``MilvusClient``.

    The last four mean nothing for a file, and are there for code that was written for a server.
    """

    read_only: bool
    durability: str
    timeout: float | None
    journal: str
    user: str
    password: str
    token: str
    db_name: str


_OPTIONS = tuple(ClientOptions.__annotations__)

_ARGUMENTS = ("uri", "embedding", "collection", "analyzer", "dim", "title", "client")

_MODEL, _DIM, _ANALYZER = "elanus.embedding", "elanus.dim", "elanus.analyzer"
_TITLE = "elanus.title"
_BEFORE, _SHOWN = 30, 100  # characters of an analyzer in an error


@dataclass(frozen=True, slots=True)
class Layout:
    """What a collection of documents was made with.

    Attributes:
        model: name of the embedding; None if it was made without one.
        dim: of the vectors; None if the collection has none.
        analyzer: identity of the analyzer of its texts; ``""`` before it is made.
        title: the metadata key of the titles, which are searched too; None if there are none.
    """

    model: str | None
    dim: int | None
    analyzer: str = ""
    title: str | None = None

    def enter_titles(self, rows: Sequence[dict[str, Any]]) -> None:
        """Fill the field of titles, if there is one: with the text under their key, or ``""``."""
        if self.title is not None:
            for row in rows:
                title = row[METADATA].get(self.title)
                row[TITLE] = title if isinstance(title, str) else ""

    @property
    def copied(self) -> dict[str, str] | None:
        """The text fields that hold what stands under a key of the metadata."""
        return None if self.title is None else {TITLE: self.title}


def checked_title(title: Any) -> str | None:
    """The metadata key of the titles, if there are any.

    Raises:
        ParamError: if it is no string, or empty.
    """
    if title is not None and not text("title", title):
        refuse("title", "the name of a metadata key", title)
    return None if title is None else str(title)


def check_same(name: str, layout: Layout, properties: Mapping[str, Any]) -> None:
    """Check that a collection is still what it was when a store was opened.

    It may have been dropped and made again, or another state of the file been restored.

    Raises:
        EmbeddingMismatchError: if it has the vectors of another model, or of another dimension.
        CollectionNotFoundError: if it is another collection in other ways.
    """
    found = _layout_of(properties)
    if found == layout:
        return
    again = "since this store was opened, which has to be opened again"
    if _ANALYZER in properties and (found.model, found.dim) != (layout.model, layout.dim):
        raise EmbeddingMismatchError(
            f"collection {quoted(name)} holds vectors of {quoted(found.model)} ({found.dim} d) "
            f"instead of {quoted(layout.model)} ({layout.dim} d) {again}"
        )
    raise CollectionNotFoundError(
        f"collection {quoted(name)} is another one, without the analyzer or the title that it had, "
        f"{again}"
    )


def _layout_of(properties: Mapping[str, Any]) -> Layout:
    return Layout(
        properties.get(_MODEL), properties.get(_DIM), properties.get(_ANALYZER, ""),
        properties.get(_TITLE),
    )  # fmt: skip


def as_document(row: Mapping[str, Any]) -> Document:
    """A row of a collection as a document."""
    vector = np.array(row[VECTOR], dtype=np.float32) if VECTOR in row else None
    return Document(row[ID], row[TEXT], row[METADATA], vector)


def open_client(
    uri: str | os.PathLike[str] | None, client: Any, options: Mapping[str, Any]
) -> MilvusClient:
    """The client that was given, or one of the file that is named.

    Raises:
        ParamError: naming what is unknown or wrong, or if both are given.
    """
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown:
        raise ParamError(
            f"unknown argument {quoted(unknown[0])}; options: {', '.join(_OPTIONS)}"
            f"{likely(unknown[0], (*_OPTIONS, *_ARGUMENTS))}"
        )
    if client is None:
        return MilvusClient(DEFAULT_URI if uri is None else uri, **options)
    if not isinstance(client, MilvusClient):
        refuse("client", "a MilvusClient", client)
    given = sorted(options) + ["uri"] * (uri is not None)
    if given:
        raise ParamError(f"give a client or {', '.join(given)}, not both")
    return client


def open_collection(
    client: MilvusClient,
    name: str,
    embedding: EmbeddingFunction | None,
    dim: int | None,
    analyzer: Any,
    title: str | None,
) -> Layout:
    """Find the collection, or make it; check that it fits embedding, dimension and the rest.

    Raises:
        EmbeddingMismatchError: naming both models, or both dimensions.
        ParamError: if it was made with another analyzer or title, or by something else.
    """
    if not client.has_collection(name):
        model = embedding.name if embedding else None
        made = Layout(model, embedding.dim if embedding else dim, title=title)
        _create(client, name, made, analyzer if names_something(analyzer) else DEFAULT_ANALYZER)
    properties = client.describe_collection(name)["properties"]
    if _ANALYZER not in properties:
        raise ParamError(
            f"collection {quoted(name)} was not made by DocumentStore; choose another name"
        )
    _check_analyzer(name, properties, analyzer)
    layout = _layout_of(properties)
    if title not in (None, layout.title):
        had = "no title" if layout.title is None else f"title {quoted(layout.title)}"
        raise ParamError(
            f"collection {quoted(name)} was made with {had}, not {quoted(title)}; leave title out, "
            "or choose another collection"
        )
    if embedding is not None:
        _check_embedding(name, layout, embedding)
    if dim not in (None, layout.dim):
        raise EmbeddingMismatchError(
            f"collection {quoted(name)} holds {_stored(layout)}; it was opened with dim={dim}: "
            "leave dim out, or choose another collection"
        )
    return layout


def _create(client: MilvusClient, name: str, made: Layout, analyzer: Any) -> None:
    schema = CollectionSchema(description="documents of an elanus DocumentStore")
    schema.add_field(ID, DataType.VARCHAR, is_primary=True)
    properties: dict[str, Any] = {_ANALYZER: build_analyzer(analyzer).identity}
    searched = {TEXT: TERMS}
    if made.title is not None:
        searched |= {TITLE: TITLE_TERMS}
        properties |= {_TITLE: made.title}
    for each in searched:
        schema.add_field(
            each, DataType.VARCHAR, max_length=MAX_LENGTH, enable_analyzer=True,
            enable_match=True, analyzer_params=analyzer,
        )  # fmt: skip
    schema.add_field(METADATA, DataType.JSON)
    indexes = client.prepare_index_params()
    for each, terms in searched.items():
        schema.add_field(terms, DataType.SPARSE_FLOAT_VECTOR)
        function = "bm25" if each == TEXT else f"bm25_{each}"
        schema.add_function(Function(function, FunctionType.BM25, [each], [terms]))
        indexes.add_index(terms, "SPARSE_INVERTED_INDEX", metric_type="BM25")
    if made.dim is not None:
        schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=made.dim)
        indexes.add_index(VECTOR, "AUTOINDEX", metric_type="COSINE")
        properties |= {_DIM: made.dim}
    if made.model is not None:
        properties |= {_MODEL: made.model}
    client.create_collection(name, schema=schema, index_params=indexes, properties=properties)


def _check_analyzer(name: str, properties: Mapping[str, Any], analyzer: Any) -> None:
    if not names_something(analyzer):
        return
    asked = build_analyzer(analyzer).identity
    if asked != properties[_ANALYZER]:
        made, other = _told_apart(properties[_ANALYZER], asked)
        raise ParamError(
            f"collection {quoted(name)} was made with analyzer {made}, not {other}; "
            "leave analyzer out, or choose another collection"
        )


def _told_apart(*identities: str) -> list[str]:
    """Analyzers by their names, or by what is around the place from which on they differ."""
    pairs = enumerate(zip(*identities, strict=False))
    start = max(0, next((i for i, both in pairs if len(set(both)) > 1), 0) - _BEFORE)
    parts = ["…" * (start > 0) + cut(each[start:], _SHOWN) for each in identities]
    names = map(analyzer_name, identities)
    return [quoted(name) if name else part for name, part in zip(names, parts, strict=True)]


def _check_embedding(name: str, layout: Layout, embedding: EmbeddingFunction) -> None:
    # Vectors that came without a model's name are those of whichever model the caller says: the
    # name of the first one to open the file is not recorded, for it need not have made them.
    model = embedding.name if layout.model is None else layout.model
    if (model, layout.dim) != (embedding.name, embedding.dim):
        raise EmbeddingMismatchError(
            f"collection {quoted(name)} holds {_stored(layout)}; it was opened with "
            f"{quoted(embedding.name)} ({embedding.dim} d): {_advice(layout)}, or choose another "
            "collection"
        )


def _advice(layout: Layout) -> str:
    if layout.dim is None:
        return "open it without an embedding and search with mode='text'"
    return "open it with the same model" if layout.model else "open it with a model of that size"


def _stored(layout: Layout) -> str:
    if layout.dim is None:
        return "no vectors, since it was made with no embedding"
    if layout.model is None:
        return f"vectors of {layout.dim} d that came without a model"
    return f"vectors of {quoted(layout.model)} ({layout.dim} d)"


def lacks_vectors(store: object) -> EmbeddingMismatchError:
    """The error for asking a store without vectors for what needs them."""
    return EmbeddingMismatchError(
        f"{store!r} was made without an embedding function and holds no vectors: make it with one "
        "or with dim=…, or search with mode='text'"
    )


def lacks_model(store: object, layout: Layout) -> EmbeddingMismatchError:
    """The error for asking a store without its model for an embedding."""
    if layout.model is not None:
        return EmbeddingMismatchError(
            f"{store!r} was opened without an embedding function, and holds vectors of "
            f"{quoted(layout.model)}: open it with that model, or give the vectors"
        )
    return EmbeddingMismatchError(
        f"{store!r} was opened without an embedding function: give the vectors of the documents "
        f"and of the query ({layout.dim} d), or open it with their model"
    )

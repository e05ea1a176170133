"""Opening what a vector store stands on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from elanus import ClientOptions, DocumentStore, MilvusClient, ParamError
from elanus.arguments import DEFAULT_URI, mapping, refuse
from elanus.errors import quoted
from langchain_elanus._embeddings import as_function
from langchain_elanus._options import SearchOptions, check_names

DEFAULT_COLLECTION = "langchain"

_CLIENT_OPTIONS = tuple(ClientOptions.__annotations__)


@dataclass(frozen=True, slots=True)
class Model:
    """What the caller said of the embedding.

    Attributes:
        embedding: LangChain ``Embeddings``, an embedding function, or None.
        name: its name; None derives one.
        dim: components of a vector; None finds out.
    """

    embedding: Any
    name: str | None
    dim: int | None


def file_and_options(
    uri: str | os.PathLike[str],
    connection_args: Mapping[str, Any] | None,
    options: Mapping[str, Any],
    opens: type,
) -> tuple[str | os.PathLike[str], dict[str, Any]]:
    """The file to open and the client's options, wherever the caller said them.

    Args:
        uri: the file.
        connection_args: langchain-milvus's way to name it, and options.
        options: the keyword arguments that the class does not name.
        opens: the class, whose own arguments may have been meant.

    Raises:
        ParamError: if two files are named, or something else than files.
        TypeError: naming the arguments that do not exist.
    """
    check_names("ElanusVectorStore", options, _CLIENT_OPTIONS, opens)
    arguments = mapping("connection_args of ElanusVectorStore", connection_args)
    named = arguments.pop("uri", uri)
    for each in (uri, named):
        if not isinstance(each, (str, os.PathLike)):
            refuse("uri", "a file path or ':memory:'", each)
    if uri not in (DEFAULT_URI, named):
        raise ParamError(f"uri is {quoted(uri)}, and {quoted(named)} in connection_args; give one")
    check_names("connection_args of ElanusVectorStore", arguments, _CLIENT_OPTIONS, ["uri"])
    return named, {**arguments, **options}


def check_alone(**arguments: Any) -> None:
    """Check that nothing contradicts a store that was given.

    Raises:
        ParamError: naming the arguments that are for opening a file.
    """
    defaults = {"uri": DEFAULT_URI, "collection_name": DEFAULT_COLLECTION}
    # Only a text is compared with a text: arrays compare their elements.
    given = [
        name
        for name, value in arguments.items()
        if value is not None and not (isinstance(value, str) and value == defaults.get(name))
    ]
    if given:
        raise ParamError(f"give a store, or a file to open ({', '.join(given)}), not both")


def check_without_embedding(defaults: SearchOptions) -> None:
    """Check that searches need no model.

    Raises:
        ParamError: if they do.
    """
    if defaults.mode != "text" or defaults.fill:
        raise ParamError(
            "ElanusVectorStore needs an embedding; without one, choose mode='text' and no fill"
        )


def open_documents(
    client: MilvusClient,
    given: DocumentStore | None,
    collection: str,
    model: Model,
    analyzer: Any,
    title: str | None,
) -> DocumentStore:
    """The documents of a given store, or of a collection; by a model, if there is one."""
    dim = model.dim
    if given is not None:
        if model.embedding is None:
            return given
        collection, dim = given.collection, dim or given.dim
    elif dim is None and client.has_collection(collection):
        # LangChain's Embeddings do not say it, and asking a model may cost money and time.
        known = DocumentStore(client=client, collection=collection)
        dim = known.dim
        known.close()
    function = as_function(model.embedding, model.name, dim)
    return DocumentStore(
        client=client, collection=collection, embedding=function, analyzer=analyzer, title=title
    )

"""Embedding functions over the sentence-transformers package."""

from __future__ import annotations

from typing import Any

import numpy as np

from elanus.arguments import flag
from elanus.errors import ParamError, shown
from elanus_embeddings._base import BaseEmbeddingFunction, Dense, Kind
from elanus_embeddings._extras import is_folder, load_package, model_identity, not_found
from elanus_embeddings._texts import positive

EXTRA = "sentence-transformers"


def load_transformer(
    class_name: str, model_name: Any, *, download: bool, needed_by: str, **kwargs: Any
) -> Any:
    """A model by one of sentence-transformers' classes, from this machine unless told otherwise.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
        ParamError: the model is not on this machine, or is none.
    """
    if not isinstance(model_name, str) or not model_name:
        raise ParamError(
            f"{needed_by}: model_name must be a folder or a name, got {shown(model_name)}"
        )
    package = load_package("sentence_transformers", EXTRA, needed_by)
    is_local = not flag("download", download)
    try:
        return getattr(package, class_name)(model_name, local_files_only=is_local, **kwargs)
    except (OSError, ValueError) as error:
        raise not_found(model_name, error) from error


class SentenceTransformerEmbeddingFunction(BaseEmbeddingFunction[Dense]):
    """Any dense model that the sentence-transformers package can load.

    Args:
        model_name: the folder of the model, or its name on the Hugging Face hub. A name is looked
            for in the hub's cache on this machine.
        batch_size: texts of one forward pass.
        query_instruction: put before every query, in place of the model's own prompt for queries.
        doc_instruction: put before every document, likewise.
        device: where to run: ``"cpu"``, ``"cuda"``, ``"mps"``, …
        normalize_embeddings: whether vectors get unit length.
        download: whether the hub may be asked for a model that is not on this machine.
        **kwargs: for ``sentence_transformers.SentenceTransformer``, such as ``truncate_dim``.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
        ParamError: the model is not on this machine, or an argument is wrong.
    """

    def __init__(
        self,
        model_name: str = "all-MiniLM-L6-v2",
        batch_size: int = 32,
        query_instruction: str = "",
        doc_instruction: str = "",
        device: str | None = "cpu",
        normalize_embeddings: bool = True,
        *,
        download: bool = False,
        **kwargs: Any,
    ) -> None:
        self._batch_size = positive("batch_size", batch_size)
        self._instructions = {"query": query_instruction, "document": doc_instruction}
        self._normalize = flag("normalize_embeddings", normalize_embeddings)
        self._model = load_transformer(
            "SentenceTransformer",
            model_name,
            download=download,
            needed_by=type(self).__name__,
            device=device,
            **kwargs,
        )
        settings = {
            "doc_instruction": doc_instruction,
            "query_instruction": query_instruction,
            "normalized": "" if normalize_embeddings else "no",
            "revision": kwargs.get("revision"),
        }
        self._name = model_identity(
            _hub_name(model_name), {key: value for key, value in settings.items() if value}
        )

    @property
    def dim(self) -> int:
        """Components of a vector."""
        return int(self._model.get_embedding_dimension())

    @property
    def name(self) -> str:
        """The model's name or, of a folder, its last part and a fingerprint; and the settings."""
        return self._name

    def _encode(self, texts: list[str], kind: Kind, *, progress: bool) -> Dense:
        model = self._model
        encode = model.encode_query if kind == "query" else model.encode_document
        vectors = encode(
            texts,
            prompt=self._instructions[kind] or None,
            batch_size=self._batch_size,
            show_progress_bar=progress,
            normalize_embeddings=self._normalize,
        )
        return np.asarray(vectors, dtype=np.float32).reshape(len(texts), self.dim)


def _hub_name(model: str) -> str:
    """The full name of a model that sentence-transformers knows by a short one."""
    short = "/" not in model and not is_folder(model)
    return f"sentence-transformers/{model}" if short else model

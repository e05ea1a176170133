"""SPLADE: sparse vectors over the words of a vocabulary, by a masked language model."""

from __future__ import annotations

from typing import Any

import numpy as np

from elanus.errors import ParamError, quoted
from elanus_embeddings._base import BaseEmbeddingFunction, Kind
from elanus_embeddings._extras import model_identity
from elanus_embeddings._sentence_transformer import EXTRA, load_transformer
from elanus_embeddings._sparse import Sparse, sparse_matrix
from elanus_embeddings._texts import positive


class SpladeEmbeddingFunction(BaseEmbeddingFunction[Sparse]):
    """Any model that sentence-transformers' ``SparseEncoder`` can load (Formal et al., 2021).

    Vectors are rows of a ``scipy.sparse.csr_array`` of shape (texts, vocabulary); compare them by
    the inner product.

    Args:
        model_name: the folder of the model, or its name on the Hugging Face hub. A name is looked
            for in the hub's cache on this machine.
        batch_size: texts of one forward pass.
        query_instruction: put before every query, in place of the model's own prompt for queries.
        doc_instruction: put before every document, likewise.
        device: where to run: ``"cpu"``, ``"cuda"``, ``"mps"``, …
        k_tokens_query: keep that many of the largest entries of a query; None keeps all.
        k_tokens_document: likewise of a document.
        download: whether the hub may be asked for a model that is not on this machine.
        **kwargs: for ``sentence_transformers.SparseEncoder``.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
        ParamError: the model is not on this machine, or an argument is wrong.
    """

    def __init__(
        self,
        model_name: str = "naver/splade-cocondenser-ensembledistil",
        batch_size: int = 32,
        query_instruction: str = "",
        doc_instruction: str = "",
        device: str | None = "cpu",
        k_tokens_query: int | None = None,
        k_tokens_document: int | None = None,
        *,
        download: bool = False,
        **kwargs: Any,
    ) -> None:
        self._batch_size = positive("batch_size", batch_size)
        self._instructions = {"query": query_instruction, "document": doc_instruction}
        self._most = {
            "query": _at_most("k_tokens_query", k_tokens_query),
            "document": _at_most("k_tokens_document", k_tokens_document),
        }
        self._model = load_transformer(
            "SparseEncoder",
            model_name,
            download=download,
            needed_by=type(self).__name__,
            device=device,
            **kwargs,
        )
        # What the package makes of a model without a language model's head: random weights.
        if any(type(part).__name__ == "SparseAutoEncoder" for part in self._model.modules()):
            raise ParamError(
                f"model {quoted(model_name)} is no SPLADE model: it cannot predict words"
            )
        settings = {
            "doc_instruction": doc_instruction,
            "query_instruction": query_instruction,
            "k_tokens_document": k_tokens_document,
            "k_tokens_query": k_tokens_query,
            "revision": kwargs.get("revision"),
        }
        self._name = model_identity(
            model_name, {key: value for key, value in settings.items() if value}
        )

    @property
    def dim(self) -> int:
        """Words of the vocabulary."""
        return int(self._model.get_embedding_dimension())

    @property
    def name(self) -> str:
        """The model's name or, of a folder, its last part and a fingerprint; and the settings."""
        return self._name

    def _encode(self, texts: list[str], kind: Kind, *, progress: bool) -> Sparse:
        rows, columns, values = self._entries(texts, kind, progress=progress)
        ends = np.cumsum(np.bincount(rows, minlength=len(texts)))
        return sparse_matrix(
            values, columns, ends, self.dim, needed_by=type(self).__name__, extra=EXTRA
        )

    def _entries(self, texts: list[str], kind: Kind, *, progress: bool) -> tuple[Any, Any, Any]:
        """Row, column and value of every entry, by ascending row."""
        if not texts:
            return np.zeros(0, np.int64), [], []
        model = self._model
        encode = model.encode_query if kind == "query" else model.encode_document
        tensor = encode(
            texts,
            prompt=self._instructions[kind] or None,
            batch_size=self._batch_size,
            show_progress_bar=progress,
            max_active_dims=self._most[kind],
            save_to_cpu=True,
        ).coalesce()
        rows, columns = tensor.indices().numpy()
        return rows, columns, tensor.values().float().numpy()


def _at_most(name: str, value: int | None) -> int | None:
    return None if value is None else positive(name, value)

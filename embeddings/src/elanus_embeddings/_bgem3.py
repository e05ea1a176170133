"""BGE-M3: dense, sparse and token vectors of one pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from elanus.arguments import flag
from elanus.errors import ParamError
from elanus.progress import ProgressBar
from elanus_embeddings._base import BaseEmbeddingFunction, Kind
from elanus_embeddings._extras import find_model, load_package, model_identity
from elanus_embeddings._sparse import Sparse, sparse_matrix
from elanus_embeddings._texts import positive

_EXTRA = "bge-m3"
# Those arguments of the package that do not change vectors.
_SAME_VECTORS = {"cache_dir", "devices", "trust_remote_code"}


class BGEM3EmbeddingFunction(BaseEmbeddingFunction[dict[str, Any]]):
    """BGE-M3 (Chen et al., 2024) by the FlagEmbedding package.

    Texts become a dict with those of these entries that were asked for: ``"dense"``, float32 of
    shape (texts, 1024); ``"sparse"``, a ``scipy.sparse.csr_array`` of shape (texts, vocabulary);
    ``"colbert_vecs"``, for each text float32 of shape (tokens - 1, 1024).

    Args:
        model_name: the folder of the model, or its name on the Hugging Face hub. A name is looked
            for in the hub's cache on this machine.
        batch_size: texts of one forward pass.
        device: where to run, or a list of devices; None lets the package choose.
        normalize_embeddings: whether dense and token vectors get unit length.
        use_fp16: whether to compute in half precision; not on a CPU.
        return_dense: whether to give dense vectors.
        return_sparse: whether to give sparse vectors.
        return_colbert_vecs: whether to give a vector for each token.
        download: whether the hub may be asked for a model that is not on this machine.
        **kwargs: for ``FlagEmbedding.BGEM3FlagModel``.

    Raises:
        MissingExtraError: FlagEmbedding is not installed.
        ParamError: the model is not on this machine, or an argument is wrong.
    """

    def __init__(
        self,
        model_name: str = "BAAI/bge-m3",
        batch_size: int = 16,
        device: str | list[str] | None = None,
        normalize_embeddings: bool = True,
        use_fp16: bool = False,
        return_dense: bool = True,
        return_sparse: bool = True,
        return_colbert_vecs: bool = False,
        *,
        download: bool = False,
        **kwargs: Any,
    ) -> None:
        self._batch_size = positive("batch_size", batch_size)
        self._wanted = {
            "return_dense": flag("return_dense", return_dense),
            "return_sparse": flag("return_sparse", return_sparse),
            "return_colbert_vecs": flag("return_colbert_vecs", return_colbert_vecs),
        }
        if not any(self._wanted.values()):
            raise ParamError(
                f"{type(self).__name__}: one of {', '.join(self._wanted)} must be true"
            )
        package = load_package("FlagEmbedding", _EXTRA, type(self).__name__)
        self._model = package.BGEM3FlagModel(
            find_model(model_name, download=download),
            normalize_embeddings=flag("normalize_embeddings", normalize_embeddings),
            use_fp16=flag("use_fp16", use_fp16),
            **{"devices": device, **kwargs},
        )
        settings = {key: value for key, value in kwargs.items() if key not in _SAME_VECTORS}
        if not normalize_embeddings:
            settings["normalized"] = "no"
        self._name = model_identity(model_name, settings)

    @property
    def dim(self) -> dict[str, int]:
        """Components of a vector of each sort, ``"dense"``, ``"sparse"`` and ``"colbert_vecs"``."""
        network = self._model.model
        return {
            "dense": int(network.model.config.hidden_size),
            "sparse": len(self._model.tokenizer),
            "colbert_vecs": int(network.colbert_linear.out_features),
        }

    @property
    def name(self) -> str:
        """The model's name or, of a folder, its last part and a fingerprint; and the settings."""
        return self._name

    def _encode(self, texts: list[str], kind: Kind, *, progress: bool) -> dict[str, Any]:
        model = self._model
        encode = model.encode_queries if kind == "query" else model.encode_corpus
        dense: list[Any] = [np.zeros((0, self.dim["dense"]))]
        lexical: list[dict[str, float]] = []
        colbert: list[Any] = []
        bar = ProgressBar(len(texts), "texts", shown=progress)
        for start in range(0, len(texts), self._batch_size):
            part = texts[start : start + self._batch_size]
            found = encode(part, batch_size=self._batch_size, **self._wanted)
            dense.append(found["dense_vecs"])
            lexical.extend(found["lexical_weights"] or [])
            colbert.extend(found["colbert_vecs"] or [])
            bar.add(len(part))
        return self._result(dense, lexical, colbert)

    def _result(
        self, dense: list[Any], lexical: list[dict[str, float]], colbert: list[Any]
    ) -> dict[str, Any]:
        result: dict[str, Any] = {}
        if self._wanted["return_dense"]:
            result["dense"] = np.concatenate(dense).astype(np.float32)
        if self._wanted["return_sparse"]:
            result["sparse"] = self._sparse(lexical)
        if self._wanted["return_colbert_vecs"]:
            result["colbert_vecs"] = [np.asarray(rows, dtype=np.float32) for rows in colbert]
        return result

    def _sparse(self, lexical: list[dict[str, float]]) -> Sparse:
        return sparse_matrix(
            [float(weight) for row in lexical for weight in row.values()],
            [int(token) for row in lexical for token in row],
            np.cumsum([len(row) for row in lexical]),
            self.dim["sparse"],
            needed_by=type(self).__name__,
            extra=_EXTRA,
        )

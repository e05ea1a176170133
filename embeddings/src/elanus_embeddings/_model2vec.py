"""Static embeddings: the mean of one vector a token, without a network's forward pass."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from elanus.arguments import as_path
from elanus.errors import ParamError
from elanus_embeddings._base import BaseEmbeddingFunction, Dense, Kind
from elanus_embeddings._extras import find_model, load_package, model_identity, not_found
from elanus_embeddings._texts import positive

# Those arguments of the package that change vectors.
_SETTINGS = {
    "dimensionality",
    "max_length",
    "normalize",
    "quantize_to",
    "subfolder",
    "vocabulary_quantization",
}


class Model2VecEmbeddingFunction(BaseEmbeddingFunction[Dense]):
    """Any model of the model2vec package: small, hundreds of times faster than a transformer.

    It needs no torch. A text without a known token has the zero vector.

    Args:
        model_source: the folder of the model, or its name on the Hugging Face hub. A name is
            looked for in the hub's cache on this machine.
        batch_size: texts that are tokenized at a time.
        download: whether the hub may be asked for a model that is not on this machine.
        **kwargs: for ``model2vec.StaticModel.from_pretrained``, such as ``dimensionality``.

    Raises:
        MissingExtraError: model2vec is not installed.
        ParamError: the model is not on this machine, or an argument is wrong.
    """

    def __init__(
        self,
        model_source: str | os.PathLike[str] = "minishlab/potion-base-8M",
        batch_size: int = 1024,
        *,
        download: bool = False,
        **kwargs: Any,
    ) -> None:
        self._batch_size = positive("batch_size", batch_size)
        source = as_path("model_source", "a folder or a name", model_source)
        if not source:
            raise ParamError("model_source must be a folder or a name, got ''")
        package = load_package("model2vec", "model2vec", type(self).__name__)
        # Found first: its own loader would go to the hub for whatever is not a folder.
        found = find_model(source, download=download)
        try:
            self._model = package.StaticModel.from_pretrained(
                found, **{"force_download": False, **kwargs}
            )
        except (OSError, ValueError) as error:
            raise not_found(source, error) from error
        self._name = model_identity(source, {k: kwargs[k] for k in _SETTINGS & set(kwargs)})

    @property
    def dim(self) -> int:
        """Components of a vector."""
        return int(self._model.dim)

    @property
    def name(self) -> str:
        """The model's name or, of a folder, its last part and a fingerprint; and the settings."""
        return self._name

    def _encode(self, texts: list[str], kind: Kind, *, progress: bool) -> Dense:  # noqa: ARG002  # static models treat both kinds alike
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        vectors = self._model.encode(
            texts,
            show_progress_bar=progress,
            batch_size=self._batch_size,
            # It would start processes by itself for 10,000 texts.
            use_multiprocessing=False,
        )
        return np.asarray(vectors, dtype=np.float32)

"""Rerankers that read query and document together, by sentence-transformers' ``CrossEncoder``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from elanus.aio import in_thread
from elanus.arguments import flag
from elanus.errors import ParamError, cut, quoted
from elanus_embeddings._contract import RerankResult
from elanus_embeddings._extras import load_package, model_identity
from elanus_embeddings._sentence_transformer import EXTRA, load_transformer
from elanus_embeddings._texts import checked_query, checked_texts, positive


class CrossEncoderRerankFunction:
    """Any model that the sentence-transformers package can load as a cross-encoder.

    Args:
        model_name: the folder of the model, or its name on the Hugging Face hub. A name is looked
            for in the hub's cache on this machine.
        device: where to run: ``"cpu"``, ``"cuda"``, …; empty lets the package choose.
        batch_size: pairs of one forward pass.
        activation_fct: a torch module that turns the model's output into a score, in place of the
            model's own (for one output that is the sigmoid, so that scores lie in [0, 1]).
        download: whether the hub may be asked for a model that is not on this machine.
        **kwargs: for ``sentence_transformers.CrossEncoder``, such as ``max_length``.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
        ParamError: the model is not on this machine, or an argument is wrong.
    """

    def __init__(
        self,
        model_name: str = "",
        device: str | None = "",
        batch_size: int = 32,
        activation_fct: Callable[..., Any] | None = None,
        *,
        download: bool = False,
        **kwargs: Any,
    ) -> None:
        self._batch_size = positive("batch_size", batch_size)
        self._model = load_transformer(
            "CrossEncoder",
            model_name,
            download=download,
            needed_by=type(self).__name__,
            device=device,
            activation_fn=activation_fct,
            **kwargs,
        )
        self._check_head(model_name)
        self._name = model_identity(model_name, {})

    @property
    def name(self) -> str:
        """The model's name or, of a folder, its last part and a fingerprint."""
        return self._name

    def __call__(self, query: str, documents: Sequence[str], top_k: int = 5) -> list[RerankResult]:
        """Order documents by their relevance to a query.

        Args:
            query: what is searched for.
            documents: the texts to order.
            top_k: how many to return at most.

        Returns:
            The best documents, best first; equal scores in the order of ``documents``.

        Raises:
            ParamError: an argument is of another type, or ``top_k`` below 1.
        """
        query = checked_query(query)
        texts = checked_texts(documents, "documents")
        most = positive("top_k", top_k)
        scores = self._scores(query, texts) if texts else np.zeros(0)
        best = np.argsort(-scores, kind="stable")[:most].tolist()
        return [RerankResult(text=texts[i], score=float(scores[i]), index=i) for i in best]

    async def arerank(
        self, query: str, documents: Sequence[str], top_k: int = 5
    ) -> list[RerankResult]:
        """The same call without blocking the event loop."""
        return await in_thread(self, query, documents, top_k)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({quoted(self.name)})"

    def _check_head(self, model_name: str) -> None:
        """Refuse a model without a trained output; the package would make a random one."""
        made_as = getattr(self._model.config, "architectures", None) or []
        bare = [name for name in made_as if name.endswith(("Model", "ForMaskedLM"))]
        if bare or self._model.num_labels != 1:
            raise ParamError(
                f"model {quoted(model_name)} ({cut(', '.join(made_as))}) has "
                f"{self._model.num_labels} outputs"
                + (", none of them trained" if bare else "")
                + "; a reranker needs a cross-encoder with one"
            )

    def _scores(self, query: str, texts: list[str]) -> Any:
        return self._model.predict(
            [(query, text) for text in texts], batch_size=self._batch_size, show_progress_bar=False
        )


class BGERerankFunction(CrossEncoderRerankFunction):
    """The BGE rerankers, which are cross-encoders (Chen et al., 2024).

    FlagEmbedding is not needed: the models have one output and no parts of their own.

    Args:
        model_name: the folder of the model, or its name on the Hugging Face hub. A name is looked
            for in the hub's cache on this machine.
        use_fp16: whether to compute in half precision; on a CPU it is not used.
        batch_size: pairs of one forward pass.
        normalize: whether scores go through the sigmoid, into [0, 1].
        device: where to run: ``"cpu"``, ``"cuda"``, …; None lets the package choose.
        query_max_length: tokens of the query that count.
        max_length: tokens of query and document together, with the special ones.
        download: whether the hub may be asked for a model that is not on this machine.
        **kwargs: for ``sentence_transformers.CrossEncoder``.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
        ParamError: the model is not on this machine, or an argument is wrong.
    """

    def __init__(
        self,
        model_name: str = "BAAI/bge-reranker-v2-m3",
        use_fp16: bool = True,
        batch_size: int = 32,
        normalize: bool = True,
        device: str | None = None,
        query_max_length: int = 256,
        max_length: int = 512,
        *,
        download: bool = False,
        **kwargs: Any,
    ) -> None:
        normalize, use_fp16 = flag("normalize", normalize), flag("use_fp16", use_fp16)
        self._query_tokens = positive("query_max_length", query_max_length)
        nn = load_package("torch.nn", EXTRA, type(self).__name__)
        super().__init__(
            model_name,
            device,
            batch_size,
            nn.Sigmoid() if normalize else nn.Identity(),
            download=download,
            max_length=positive("max_length", max_length),
            **kwargs,
        )
        if use_fp16 and self._model.device.type != "cpu":
            self._model.half()

    def _scores(self, query: str, texts: list[str]) -> Any:
        return super()._scores(self._cut(query), texts)

    def _cut(self, query: str) -> str:
        """The query up to the end of its last token that counts, as it is written."""
        tokens = self._model.tokenizer(
            query,
            truncation=True,
            max_length=self._query_tokens,
            add_special_tokens=False,
            return_offsets_mapping=True,
        )
        places = tokens["offset_mapping"]
        return query if len(places) < self._query_tokens else query[: places[-1][1]]

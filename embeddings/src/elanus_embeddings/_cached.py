"""An embedding function that remembers, in an Elanus file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from types import TracebackType
from typing import Any

import numpy as np

from elanus import CollectionSchema, DataType, DocumentStore, MilvusClient
from elanus.aio import Flow, arun, run, step, step_of
from elanus.arguments import DEFAULT_URI, MAX_NAME, check_name, flag, refuse, whole
from elanus.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    DatabaseCorruptError,
    DataNotMatchException,
    EmbeddingError,
    EmbeddingMismatchError,
    ParamError,
    quoted,
)
from elanus.progress import ProgressBar
from elanus_embeddings._base import BaseEmbeddingFunction, Dense, Kind
from elanus_embeddings._contract import EmbeddingFunction
from elanus_embeddings._parts import LongTexts
from elanus_embeddings._texts import checked_text, checked_texts, positive
from elanus_embeddings._vectors import NotVectors, checked_rows

_KEY, _VECTOR, _CHECKSUM = "key", "vector", "checksum"
_MODEL, _DIM = "elanus.embedding", "elanus.dim"
_READ_AT_ONCE = 1000
# How often a collection may vanish before its vectors are written: then they are not kept.
_MOST_CLEARED = 100


@dataclass(frozen=True, slots=True)
class _Batch:
    """Texts to be computed together.

    Attributes:
        keys: of each text.
        texts: each once.
        places: where the caller's list has each of them first.
    """

    keys: list[str]
    texts: list[str]
    places: list[int]

    def first(self, count: int) -> _Batch:
        """The first texts of it."""
        return _Batch(self.keys[:count], self.texts[:count], self.places[:count])


@dataclass(frozen=True, slots=True)
class _Job:
    """Texts on their way to vectors.

    Attributes:
        keys: of each text, in order.
        kind: whether they are documents or queries.
        found: vectors by key; they grow as missing ones are computed.
        missing: the texts without a vector and their first places, by key.
    """

    keys: list[str]
    kind: Kind
    found: dict[str, Dense]
    missing: dict[str, tuple[str, int]] = field(default_factory=dict)

    def batches(self, size: int) -> Iterator[_Batch]:
        """The texts whose vectors are missing, ``size`` at a time."""
        items = list(self.missing.items())
        for start in range(0, len(items), size):
            part = items[start : start + size]
            yield _Batch(
                [key for key, _ in part],
                [text for _, (text, _) in part],
                [place for _, (_, place) in part],
            )

    def beginning(self) -> Dense | None:
        """The vectors of the first texts, up to one that has none; None if there are none."""
        known = [self.found[key] for key in takewhile(self.found.__contains__, self.keys)]
        return np.array(known, dtype=np.float32) if known else None


class CachedEmbeddingFunction(BaseEmbeddingFunction[Dense]):
    """Asks another function only for texts that it has not seen, and keeps the answers.

    Vectors are kept in a collection of their own, one for each model, under a hash of the model's
    name, the kind (document or query) and the text; the text itself is not kept. Each has a
    checksum, and one that was damaged is computed again. Each batch is committed before the next
    is computed: if something fails later on, what was computed is there at the next try. Several
    threads and processes may use one file. Two that ask for the same new text at the same moment
    both compute it.

    Args:
        inner: the function to ask, with vectors of type float32. Its ``name`` must stand for all
            that changes its vectors.
        cache: path of an Elanus file, which may be the one that holds the documents; or an open
            ``MilvusClient`` or ``DocumentStore``, which is not closed with this object.
        collection: first part of the collections' names.
        batch_size: texts that are computed and committed at a time.

    Raises:
        ParamError: ``inner`` is no embedding function, or another argument is wrong.
        StorageError: the file cannot be opened.

    Example:
        >>> from elanus import DocumentStore
        >>> from elanus_embeddings import CachedEmbeddingFunction, MiniLMEmbeddingFunction
        >>> embed = CachedEmbeddingFunction(MiniLMEmbeddingFunction(), "kb.db")  # doctest: +SKIP
        >>> store = DocumentStore("kb.db", embedding=embed)  # doctest: +SKIP
    """

    def __init__(
        self,
        inner: EmbeddingFunction,
        cache: str | os.PathLike[str] | MilvusClient | DocumentStore = DEFAULT_URI,
        collection: str = "embedding_cache",
        batch_size: int = 128,
    ) -> None:
        _check_inner(inner)
        name = checked_text(inner.name, "inner: name")
        self._inner = inner
        self._batch_size = positive("batch_size", batch_size)
        self._collection = _collection_name(collection, name)
        self._owns_client = not isinstance(cache, (MilvusClient, DocumentStore))
        self._client = _client(cache)

    def __enter__(self) -> CachedEmbeddingFunction:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({quoted(self._inner)}, {quoted(self._client)})"

    @property
    def dim(self) -> int:
        """Components of a vector; of the cached ones, if there are any."""
        return self._cached_dim() or whole("inner: dim", _dim_of(self._inner), 1)

    @property
    def name(self) -> str:
        """The name of the inner function, since its vectors are what one gets."""
        return self._inner.name

    @property
    def long_texts(self) -> LongTexts | None:
        """What becomes of documents longer than the model reads, as for the inner function."""
        splits = callable(getattr(self._inner, "split_documents", None))
        return getattr(self._inner, "long_texts", None) if splits else "cut"

    @property
    def adaptive_weight(self) -> float | None:
        """How much the vectors count in a hybrid search, as the inner function says."""
        return getattr(self._inner, "adaptive_weight", None)

    @property
    def inner(self) -> EmbeddingFunction:
        """The function that is asked for new texts."""
        return self._inner

    def split_documents(self, texts: Sequence[str]) -> list[list[str]]:
        """The parts of each text by the inner function; the text alone if it splits none.

        Raises:
            ParamError: ``texts`` is not a list of strings.
        """
        given = checked_texts(texts)
        split = getattr(self._inner, "split_documents", None)
        return split(given) if callable(split) else [[text] for text in given]

    @property
    def max_tokens(self) -> int | None:
        """Tokens of a document that the inner function reads; None if it does not say."""
        return getattr(self._inner, "max_tokens", None)

    def count_tokens(self, text: str) -> int:
        """The tokens of a text, by the model's tokenizer and without its special ones.

        With ``max_tokens`` it is what ``elanus.chunking`` measures by.

        Raises:
            ParamError: ``text`` is not a string, or the inner function does not count.
        """
        count = getattr(self._inner, "count_tokens", None)
        if not callable(count):
            raise ParamError(f"the inner function {quoted(self._inner)} does not count tokens")
        return whole("inner: count_tokens", count(text), 0)

    def close(self) -> None:
        """Release the file, if it was opened here; a second call does nothing."""
        if self._owns_client:
            self._client.close()

    def clear(self) -> None:
        """Forget all vectors of this model."""
        self._client.drop_collection(self._collection)

    async def aencode_documents(self, texts: Sequence[str], *, progress: bool = False) -> Dense:
        """``encode_documents`` without blocking the event loop."""
        return await arun(
            self._flow(checked_texts(texts), "document", progress=flag("progress", progress))
        )

    async def aencode_queries(self, texts: Sequence[str], *, progress: bool = False) -> Dense:
        """``encode_queries`` without blocking the event loop."""
        return await arun(
            self._flow(checked_texts(texts), "query", progress=flag("progress", progress))
        )

    def _encode(self, texts: list[str], kind: Kind, *, progress: bool) -> Dense:
        return run(self._flow(texts, kind, progress=progress))

    def _flow(self, texts: list[str], kind: Kind, *, progress: bool) -> Flow[Dense]:
        # The file is read and written in steps of their own, on threads beside an event loop.
        job: _Job = yield step(self._look_up, None, texts, kind)
        bar = ProgressBar(len(job.missing), "texts", shown=progress)
        call = "encode_queries" if kind == "query" else "encode_documents"
        for batch in job.batches(self._batch_size):
            try:
                answer = yield step_of(self._inner, call, batch.texts)
            except EmbeddingError as error:
                if error.made is not None:
                    # If these are no vectors, it is still the error that has to be told.
                    with suppress(TypeError, DataNotMatchException):
                        done = batch.first(len(error.made))
                        yield step(self._keep, None, job, done, error.made)
                error.renumber(batch.places)
                error.made = job.beginning()
                raise
            yield step(self._keep, None, job, batch, answer)
            bar.add(len(batch.texts))
        matrix: Dense = yield step(self._matrix, None, job)
        return matrix

    def _look_up(self, texts: list[str], kind: Kind) -> _Job:
        said = self._said_dim() if texts else None
        if said is not None:
            self._check_dim(said)
        keys = [_digest(self.name, kind, text) for text in texts]
        wanted: dict[str, tuple[str, int]] = {}
        for place, (key, text) in enumerate(zip(keys, texts, strict=True)):
            wanted.setdefault(key, (text, place))
        found = self._read(list(wanted))
        missing = {key: item for key, item in wanted.items() if key not in found}
        if missing:
            self._client.check_writable()  # before they are paid for
        return _Job(keys, kind, found, missing)

    def _read(self, keys: list[str]) -> dict[str, Dense]:
        found: dict[str, Dense] = {}
        try:
            for start in range(0, len(keys), _READ_AT_ONCE):
                found |= self._read_sound(keys[start : start + _READ_AT_ONCE])
        except CollectionNotFoundError:  # nothing was kept yet, or somebody cleared it meanwhile
            pass
        return found

    def _read_sound(self, keys: list[str]) -> dict[str, Dense]:
        """The vectors of some keys; without what is damaged, which is computed again."""
        try:
            rows = self._client.get(self._collection, keys, [_VECTOR, _CHECKSUM])
        except DatabaseCorruptError:
            if len(keys) == 1:
                return {}
            middle = len(keys) // 2
            return self._read_sound(keys[:middle]) | self._read_sound(keys[middle:])
        vectors = {row[_KEY]: np.asarray(row[_VECTOR], dtype=np.float32) for row in rows}
        sums = {row[_KEY]: row[_CHECKSUM] for row in rows}
        return {key: v for key, v in vectors.items() if sums[key] == _checksum(key, v)}

    def _keep(self, job: _Job, batch: _Batch, answer: Any) -> None:
        """Check what the inner function gave, commit it, and hand it to the job."""
        try:
            vectors = checked_rows(answer, len(batch.texts))
        except NotVectors as fault:
            place = "" if fault.row is None else f" for texts[{batch.places[fault.row]}]"
            raise DataNotMatchException(
                f"{quoted(self._inner)} gave {fault.reason}{place}; only functions with one dense "
                "vector a text can be cached"
            ) from None
        # Else one wrong reply would make the cache, of its own length, and refuse all others.
        said = self._said_dim()
        if said not in {None, vectors.shape[1]}:
            raise DataNotMatchException(
                f"{quoted(self._inner)} gave vectors of {vectors.shape[1]} d for "
                f"texts[{batch.places[0]}], and says that it gives {said}"
            )
        made = dict(zip(batch.keys, vectors, strict=True))
        rows = [
            {_KEY: key, _VECTOR: vector, _CHECKSUM: _checksum(key, vector)}
            for key, vector in made.items()
        ]
        for _ in range(_MOST_CLEARED):
            self._create(vectors.shape[1])
            try:
                self._client.upsert(self._collection, rows)
            except (CollectionNotFoundError, CollectionExistsError):
                continue  # somebody cleared it meanwhile, and another may have made it again
            break
        job.found.update(made)

    def _said_dim(self) -> int | None:
        """What the inner function says of its dimension; None if it does not know it yet."""
        try:
            dim = _dim_of(self._inner)
        except ParamError:
            return None  # a provider, before its first answer
        return whole("inner: dim", dim, 1)

    def _create(self, dim: int) -> None:
        """Make the collection; nothing happens if it is there.

        Raises:
            EmbeddingMismatchError: if it holds vectors of another dimension.
        """
        schema = CollectionSchema(description=f"vectors of {self.name}, by text")
        schema.add_field(_KEY, DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field(_VECTOR, DataType.FLOAT_VECTOR, dim=dim)
        schema.add_field(_CHECKSUM, DataType.VARCHAR, max_length=16)
        try:
            self._client.create_collection(
                self._collection, schema=schema, properties={_MODEL: self.name, _DIM: dim}
            )
        except CollectionExistsError:
            self._check_dim(dim)
            raise

    def _check_dim(self, dim: int) -> None:
        """Refuse vectors that another model left under the same name.

        Raises:
            EmbeddingMismatchError: naming both dimensions.
        """
        cached = self._cached_dim()
        if cached not in {None, dim}:
            raise EmbeddingMismatchError(
                f"the cache holds vectors of {cached} d under the name {quoted(self.name)}, "
                f"and the model gives {dim}: a model whose vectors differ needs a name of its own; "
                "clear() forgets those of the old one"
            )

    def _cached_dim(self) -> int | None:
        try:
            described = self._client.describe_collection(self._collection)
        except CollectionNotFoundError:
            return None
        properties: Mapping[str, Any] = described["properties"]
        if _DIM not in properties:
            raise ParamError(
                f"collection {quoted(self._collection)} is no cache of vectors; choose another "
                "name by collection="
            )
        return int(properties[_DIM])

    def _matrix(self, job: _Job) -> Dense:
        if not job.keys:
            return np.zeros((0, self.dim), dtype=np.float32)
        return np.array([job.found[key] for key in job.keys], dtype=np.float32)


def _check_inner(inner: Any) -> None:
    # Not by isinstance, which asks for `dim`: a provider may not know it before its first answer.
    encoders = [getattr(inner, f"encode_{kind}", None) for kind in ("documents", "queries")]
    try:
        name = getattr(inner, "name", None)
    except Exception as error:  # a property is anybody's code
        raise ParamError(
            f"inner {quoted(inner)}: its name cannot be read: {quoted(error)}"
        ) from error
    if not all(map(callable, encoders)) or not isinstance(name, str):
        raise ParamError(
            f"inner {quoted(inner)} needs encode_documents, encode_queries, dim and name"
        )


def _dim_of(inner: EmbeddingFunction) -> Any:
    """What an inner function says of its dimension.

    Raises:
        ParamError: its own: it may not know the number yet.
        EmbeddingError: if it fails otherwise.
    """
    try:
        return inner.dim
    except ParamError:
        raise
    except Exception as error:  # a property is anybody's code
        raise EmbeddingError(
            f"inner {quoted(inner)}: its dim cannot be read: {quoted(error)}"
        ) from error


def _collection_name(first: Any, model: str) -> str:
    """The name of a model's collection.

    Raises:
        ParamError: if ``first`` cannot begin one.
    """
    end = f"_{_digest(model)[:16]}"
    name = checked_text(first, "collection") + end
    try:
        return check_name(name, "collection")
    except ParamError:
        rule = f"at most {MAX_NAME - len(end)} letters, digits and underscores, no digit first"
        refuse("collection", rule, first)


def _client(cache: Any) -> MilvusClient:
    if isinstance(cache, DocumentStore):
        return cache.client
    return cache if isinstance(cache, MilvusClient) else MilvusClient(cache)


def _checksum(key: str, vector: Dense) -> str:
    """Of a vector under its key: a vector of another text is as wrong as a damaged one."""
    content = vector.astype("<f4").tobytes()
    return hashlib.blake2b(content, digest_size=8, key=key.encode()).hexdigest()


def _digest(*parts: str) -> str:
    """SHA-256 of texts; their lengths keep ("a", "bc") and ("ab", "c") apart."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode()
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()

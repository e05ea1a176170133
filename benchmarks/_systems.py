"""The systems that are measured, behind one set of calls; this module has those of Milvus's API."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from _data import NUMBERS, K

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from _data import Corpus, Floats

NAME = "documents"
DEPTH = 50  # candidates of each kind in a hybrid search
HYBRID_EF = 64


class System(ABC):
    """One store in one folder. A document's id is its position in the corpus.

    Attributes:
        modules: what a program imports to use it.
        package: the distribution to install, which names the version.
        has_text: whether it ranks texts.
        answers_before_build: whether all kinds of searches work before `build`.
    """

    modules: ClassVar[tuple[str, ...]]
    package: ClassVar[str]
    has_text: ClassVar[bool] = True
    answers_before_build: ClassVar[bool] = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def create(self, dim: int) -> None:
        """Make an empty collection."""

    @abstractmethod
    def insert(self, corpus: Corpus) -> None:
        """Insert every document."""

    def build(self) -> None:  # noqa: B027 - for systems whose insert leaves nothing to build
        """Build the indexes, and wait for them."""

    @abstractmethod
    def dense(self, vector: Floats, ef: int) -> list[int]:
        """Ids of the K nearest."""

    @abstractmethod
    def filtered(self, vector: Floats, share: float, ef: int) -> list[int]:
        """Ids of the K nearest of the documents with the lowest ``share`` of numbers."""

    def text(self, words: str) -> list[int]:
        """Ids of the K best by BM25; only asked of systems with ``has_text``."""
        raise NotImplementedError  # some stores have no text index

    def hybrid(self, vector: Floats, words: str) -> list[int]:
        """Ids of the K best by both, fused by reciprocal rank; their texts are fetched."""
        raise NotImplementedError  # as above

    @abstractmethod
    def close(self) -> None:
        """Close, so that the folder holds everything."""

    @abstractmethod
    def reopen(self) -> None:
        """Open what was closed."""


class MilvusSystem(System):
    """Whatever offers pymilvus's ``MilvusClient``."""

    index: ClassVar[dict[str, Any]] = {
        "index_type": "HNSW",
        "params": {"M": 16, "efConstruction": 200},
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.open()

    def open(self) -> None:
        """Connect to the file."""
        # Imported here and not above: what an import adds counts as the system's memory.
        self.api = import_module(self.modules[0])
        self.client = self.api.MilvusClient(str(self.folder / "bench.db"))

    def create(self, dim: int) -> None:
        """See `System`."""
        api, types = self.api, self.api.DataType
        schema = self.client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", types.INT64, is_primary=True)
        schema.add_field("vector", types.FLOAT_VECTOR, dim=dim)
        schema.add_field("text", types.VARCHAR, max_length=65_535, enable_analyzer=True)
        schema.add_field("category", types.VARCHAR, max_length=16)
        schema.add_field("number", types.INT64)
        schema.add_field("terms", types.SPARSE_FLOAT_VECTOR)
        schema.add_function(api.Function("bm25", api.FunctionType.BM25, ["text"], ["terms"]))
        indexes = self.client.prepare_index_params()
        indexes.add_index(field_name="vector", metric_type="COSINE", **self.index)
        indexes.add_index(
            field_name="terms", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25"
        )
        self.client.create_collection(NAME, schema=schema, index_params=indexes)

    def insert(self, corpus: Corpus) -> None:
        """See `System`."""
        for start in range(0, len(corpus.texts), 2000):
            ids = range(start, min(start + 2000, len(corpus.texts)))
            self.client.insert(NAME, [self._row(corpus, i) for i in ids])

    def _row(self, corpus: Corpus, i: int) -> dict[str, Any]:
        number = int(corpus.numbers[i])
        fields = {"text": corpus.texts[i], "category": f"c{number % 20}", "number": number}
        return {"id": i, "vector": self._sent(corpus.vectors[i]), **fields}

    def _sent(self, vector: Floats) -> Any:
        return vector

    def build(self) -> None:
        """See `System`."""
        self.client.flush(NAME)
        self.client.load_collection(NAME)

    def params(self, ef: int) -> dict[str, Any]:
        """Search parameters of the dense field."""
        return {"metric_type": "COSINE", "params": {"ef": ef}}

    def dense(self, vector: Floats, ef: int) -> list[int]:
        """See `System`."""
        return self.batch([vector], ef)[0]

    def batch(
        self, vectors: Sequence[Floats] | Floats, ef: int, filter: str = ""
    ) -> list[list[int]]:
        """Several dense searches in one call; one list of ids for each."""
        found = self.client.search(
            NAME,
            data=[self._sent(vector) for vector in vectors],
            anns_field="vector",
            limit=K,
            search_params=self.params(ef),
            filter=filter,
            output_fields=[],
        )
        return [_ids(hits) for hits in found]

    def filtered(self, vector: Floats, share: float, ef: int) -> list[int]:
        """See `System`."""
        return self.batch([vector], ef, f"number < {round(share * NUMBERS)}")[0]

    def text(self, words: str) -> list[int]:
        """See `System`."""
        return self.text_batch([words])[0]

    def text_batch(self, words: Sequence[str]) -> list[list[int]]:
        """Several text searches in one call; one list of ids for each."""
        params = {"metric_type": "BM25"}
        found = self.client.search(
            NAME, data=list(words), anns_field="terms", limit=K, search_params=params
        )
        return [_ids(hits) for hits in found]

    def hybrid(self, vector: Floats, words: str) -> list[int]:
        """See `System`."""
        request = self.api.AnnSearchRequest
        requests = [
            request([self._sent(vector)], "vector", self.params(HYBRID_EF), limit=DEPTH),
            request([words], "terms", {"metric_type": "BM25"}, limit=DEPTH),
        ]
        ranker = self.api.RRFRanker(60)
        return _ids(self.client.hybrid_search(NAME, requests, ranker, K, output_fields=["text"])[0])

    def close(self) -> None:
        """See `System`."""
        self.client.close()

    def reopen(self) -> None:
        """See `System`."""
        self.open()


def _ids(hits: Any) -> list[int]:
    return [hit["id"] for hit in hits]


class Elanus(MilvusSystem):
    """Ours, with the index that a user of Milvus would name."""

    modules = ("elanus", "hnswlib")
    package = "elanus"

    @classmethod
    def filled(cls, folder: Path, corpus: Corpus) -> Elanus:
        """A store in an empty folder that holds a corpus, with every index built."""
        system = cls(folder)
        system.create(corpus.vectors.shape[1])
        system.insert(corpus)
        system.build()
        return system

    def settle(self, seconds: float = 120.0) -> None:
        """Load, and wait for a saved graph too, which is put together while searches scan.

        Raises:
            TimeoutError: it is still not there after ``seconds``.
        """
        self.build()
        deadline = time.monotonic() + seconds
        while self.client.describe_index(NAME, "vector")["state"] != "Finished":
            if time.monotonic() > deadline:
                raise TimeoutError(f"no graph after {seconds:g} s")
            time.sleep(0.01)


class ElanusAuto(Elanus):
    """Ours, with the index that a user gets who names none, and its own width of search."""

    modules = ("elanus",)
    index: ClassVar[dict[str, Any]] = {"index_type": "AUTOINDEX"}

    def params(self, ef: int) -> dict[str, Any]:
        """No ef where the usual one is asked for."""
        return super().params(ef) if ef != 64 else {"metric_type": "COSINE", "params": {}}


class MilvusLite(MilvusSystem):
    """Milvus's own embedded form."""

    modules = ("pymilvus", "milvus_lite")
    package = "milvus-lite"

    def _sent(self, vector: Floats) -> Any:
        return vector.tolist()

    def reopen(self) -> None:
        """See `System`; without loading, it refuses to search."""
        self.open()
        self.client.load_collection(NAME)

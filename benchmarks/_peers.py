"""The peers, each as its own documentation says to use it, with equal graph parameters."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from _data import NUMBERS, K
from _systems import DEPTH, HYBRID_EF, Elanus, ElanusAuto, MilvusLite, System

if TYPE_CHECKING:
    from _data import Corpus, Floats


class Zvec(System):
    """An embedded store in C++."""

    modules = ("zvec",)
    package = "zvec"

    def _api(self) -> Any:
        return import_module("zvec")

    def create(self, dim: int) -> None:
        """See `System`."""
        z = self._api()
        inverted = z.InvertIndexParam(enable_range_optimization=True)
        hnsw = z.HnswIndexParam(metric_type=z.MetricType.COSINE, m=16, ef_construction=200)
        fields = [
            z.FieldSchema("text", z.DataType.STRING, index_param=z.FtsIndexParam()),
            z.FieldSchema("category", z.DataType.STRING, index_param=z.InvertIndexParam()),
            z.FieldSchema("number", z.DataType.INT64, index_param=inverted),
        ]
        vectors = [z.VectorSchema("vector", z.DataType.VECTOR_FP32, dim, index_param=hnsw)]
        schema = z.CollectionSchema(name="documents", fields=fields, vectors=vectors)
        self.store = z.create_and_open(path=str(self.folder / "zvec"), schema=schema)

    def insert(self, corpus: Corpus) -> None:
        """See `System`."""
        for start in range(0, len(corpus.texts), 1000):
            ids = range(start, min(start + 1000, len(corpus.texts)))
            self.store.insert([self._document(corpus, i) for i in ids])
        self.store.flush()

    def _document(self, corpus: Corpus, i: int) -> Any:
        number = int(corpus.numbers[i])
        fields = {"text": corpus.texts[i], "category": f"c{number % 20}", "number": number}
        return self._api().Doc(id=str(i), vectors={"vector": corpus.vectors[i]}, fields=fields)

    def build(self) -> None:
        """See `System`."""
        self.store.optimize(self._api().OptimizeOption(concurrency=2))

    def _near(self, vector: Floats, ef: int) -> Any:
        z = self._api()
        return z.Query(field_name="vector", vector=vector, param=z.HnswQueryParam(ef=ef))

    def _match(self, words: str) -> Any:
        z = self._api()
        return z.Query(field_name="text", fts=z.Fts(match_string=words))

    def _ask(self, query: Any, **options: Any) -> list[int]:
        options.setdefault("output_fields", [])
        return [int(hit.id) for hit in self.store.query(query, topk=K, **options)]

    def dense(self, vector: Floats, ef: int) -> list[int]:
        """See `System`."""
        return self._ask(self._near(vector, ef))

    def filtered(self, vector: Floats, share: float, ef: int) -> list[int]:
        """See `System`."""
        return self._ask(self._near(vector, ef), filter=f"number < {round(share * NUMBERS)}")

    def text(self, words: str) -> list[int]:
        """See `System`."""
        return self._ask(self._match(words))

    def hybrid(self, vector: Floats, words: str) -> list[int]:
        """See `System`."""
        queries = [self._near(vector, HYBRID_EF), self._match(words)]
        return self._ask(queries, reranker=self._api().RrfReRanker(), output_fields=["text"])

    def close(self) -> None:
        """See `System`."""
        self.store.close()

    def reopen(self) -> None:
        """See `System`."""
        self.store = self._api().open(str(self.folder / "zvec"))


class ByHand(System):
    """hnswlib and bm25s, fused in a few lines: nothing durable but two index files."""

    modules = ("hnswlib", "bm25s")
    package = "bm25s"

    def create(self, dim: int) -> None:
        """See `System`."""
        self.dim = dim
        self.graph = import_module("hnswlib").Index("cosine", dim)

    def insert(self, corpus: Corpus) -> None:
        """See `System`."""
        self.graph.init_index(len(corpus.vectors), M=16, ef_construction=200)
        self.graph.add_items(corpus.vectors, num_threads=2)
        self.ranker = import_module("bm25s").BM25()
        self.ranker.index(self._tokens(corpus.texts), show_progress=False)
        self.texts, self.numbers = corpus.texts, corpus.numbers

    def _tokens(self, texts: list[str]) -> Any:
        return import_module("bm25s").tokenize(texts, stopwords=None, show_progress=False)

    def build(self) -> None:
        """Save both."""
        self.graph.save_index(str(self.folder / "graph.bin"))
        self.ranker.save(str(self.folder / "bm25"))

    def _near(self, vector: Floats, ef: int, k: int, passes: Any = None) -> list[int]:
        self.graph.set_ef(ef)
        ids: list[int] = self.graph.knn_query(vector, k, num_threads=1, filter=passes)[0][
            0
        ].tolist()
        return ids

    def _match(self, words: str, k: int) -> list[int]:
        found = self.ranker.retrieve(self._tokens([words]), k=k, show_progress=False)
        ids: list[int] = found[0][0].tolist()
        return ids

    def dense(self, vector: Floats, ef: int) -> list[int]:
        """See `System`."""
        return self._near(vector, ef, K)

    def filtered(self, vector: Floats, share: float, ef: int) -> list[int]:
        """See `System`."""
        mask = self.numbers < share * NUMBERS
        # hnswlib raises when it is asked for more than pass.
        k = min(K, int(np.count_nonzero(mask)))
        return self._near(vector, ef, k, mask.tobytes().__getitem__) if k else []

    def text(self, words: str) -> list[int]:
        """See `System`."""
        return self._match(words, K)

    def hybrid(self, vector: Floats, words: str) -> list[int]:
        """See `System`."""
        scores: dict[int, float] = {}
        depth = min(DEPTH, len(self.texts))
        for ranking in (self._near(vector, HYBRID_EF, depth), self._match(words, depth)):
            for rank, i in enumerate(ranking, start=1):
                scores[i] = scores.get(i, 0.0) + 1 / (60 + rank)
        best = sorted(scores, key=scores.__getitem__, reverse=True)[:K]
        return list({i: self.texts[i] for i in best})

    def close(self) -> None:
        """See `System`."""
        del self.graph, self.ranker

    def reopen(self) -> None:
        """See `System`."""
        self.graph = import_module("hnswlib").Index("cosine", self.dim)
        self.graph.load_index(str(self.folder / "graph.bin"))
        self.ranker = import_module("bm25s").BM25.load(str(self.folder / "bm25"))


class Chroma(System):
    """An embedded store in Rust; it has no ranking of texts."""

    modules = ("chromadb",)
    package = "chromadb"
    has_text = False

    def _connect(self) -> None:
        settings = import_module("chromadb.config").Settings(anonymized_telemetry=False)
        path = str(self.folder / "chroma")
        self.client = import_module("chromadb").PersistentClient(path, settings=settings)
        self.ef = 64

    def create(self, dim: int) -> None:
        """See `System`."""
        del dim
        self._connect()
        hnsw = {"space": "cosine", "ef_construction": 200, "max_neighbors": 16, "ef_search": 64}
        self.store = self.client.create_collection(
            "documents", embedding_function=None, configuration={"hnsw": hnsw}
        )

    def insert(self, corpus: Corpus) -> None:
        """See `System`."""
        for start in range(0, len(corpus.texts), 2000):
            ids = range(start, min(start + 2000, len(corpus.texts)))
            numbers = corpus.numbers[start : start + 2000].tolist()
            self.store.add(
                ids=[str(i) for i in ids],
                embeddings=corpus.vectors[start : start + 2000],
                documents=corpus.texts[start : start + 2000],
                metadatas=[{"category": f"c{n % 20}", "number": n} for n in numbers],
            )

    def dense(self, vector: Floats, ef: int, where: Any = None) -> list[int]:
        """See `System`."""
        if ef != self.ef:
            self.store.modify(configuration={"hnsw": {"ef_search": ef}})
            self.ef = ef
        found = self.store.query(query_embeddings=[vector], n_results=K, where=where, include=[])
        return [int(i) for i in found["ids"][0]]

    def filtered(self, vector: Floats, share: float, ef: int) -> list[int]:
        """See `System`."""
        return self.dense(vector, ef, {"number": {"$lt": round(share * NUMBERS)}})

    def close(self) -> None:
        """See `System`."""
        del self.store, self.client

    def reopen(self) -> None:
        """See `System`."""
        self._connect()
        self.store = self.client.get_collection("documents", embedding_function=None)


class Lance(System):
    """A columnar store in Rust, whose indexes are built when asked for."""

    modules = ("lancedb", "pyarrow")
    package = "lancedb"
    answers_before_build = False

    def create(self, dim: int) -> None:
        """See `System`."""
        self.reopen_database()
        pa = import_module("pyarrow")
        vector = pa.field("vector", pa.list_(pa.float32(), dim))
        others = [("text", pa.string()), ("category", pa.string()), ("number", pa.int64())]
        schema = pa.schema([pa.field("id", pa.int64()), vector, *(pa.field(*f) for f in others)])
        self.store = self.database.create_table("documents", schema=schema)

    def reopen_database(self) -> None:
        """Connect to the folder."""
        self.database = import_module("lancedb").connect(str(self.folder / "lance"))

    def insert(self, corpus: Corpus) -> None:
        """See `System`."""
        pa = import_module("pyarrow")
        for start in range(0, len(corpus.texts), 10_000):
            block = slice(start, start + 10_000)
            vectors, numbers = corpus.vectors[block], corpus.numbers[block]
            flat = pa.array(vectors.reshape(-1))
            columns = {
                "id": np.arange(start, start + len(vectors)),
                "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
                "text": corpus.texts[block],
                "category": [f"c{n % 20}" for n in numbers.tolist()],
                "number": numbers,
            }
            self.store.add(pa.table(columns))

    def build(self) -> None:
        """See `System`."""
        self.store.optimize()
        self.store.create_index(
            metric="cosine", index_type="IVF_HNSW_SQ", m=16, ef_construction=200, num_partitions=1
        )
        self.store.create_fts_index("text", use_tantivy=False)
        self.store.create_scalar_index("number")

    def dense(self, vector: Floats, ef: int, where: str | None = None) -> list[int]:
        """See `System`."""
        query = self.store.search(vector, vector_column_name="vector").distance_type("cosine")
        query = query.ef(ef).nprobes(1).limit(K).select(["id"])
        return _column(query.where(where, prefilter=True) if where else query)

    def filtered(self, vector: Floats, share: float, ef: int) -> list[int]:
        """See `System`."""
        return self.dense(vector, ef, f"number < {round(share * NUMBERS)}")

    def text(self, words: str) -> list[int]:
        """See `System`."""
        return _column(self.store.search(words, query_type="fts").limit(K).select(["id"]))

    def hybrid(self, vector: Floats, words: str) -> list[int]:
        """See `System`."""
        ranker = import_module("lancedb.rerankers").RRFReranker()
        query = self.store.search(query_type="hybrid").vector(vector).text(words)
        return _column(query.rerank(ranker).limit(K))

    def close(self) -> None:
        """See `System`."""
        del self.store, self.database

    def reopen(self) -> None:
        """See `System`."""
        self.reopen_database()
        self.store = self.database.open_table("documents")


def _column(query: Any) -> list[int]:
    ids: list[int] = query.to_arrow()["id"].to_pylist()
    return ids


SYSTEMS: dict[str, type[System]] = {
    "ours": Elanus,
    "ours-auto": ElanusAuto,
    "zvec": Zvec,
    "by-hand": ByHand,
    "chroma": Chroma,
    "lancedb": Lance,
    "milvus-lite": MilvusLite,
}


def missing(name: str) -> list[str]:
    """The modules that a system needs and this environment lacks."""
    return [module for module in SYSTEMS[name].modules if find_spec(module) is None]

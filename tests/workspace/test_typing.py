"""Type checkers find a name that a call does not take, as the call itself does when it runs."""

from __future__ import annotations

import re
import subprocess
import sys

from elanus import MilvusClient

WRONG = """
from elanus import AsyncMilvusClient, DocumentStore, KeyValueStore, MilvusClient
from langchain_elanus import ElanusByteStore, ElanusVectorStore
from llama_index.vector_stores.elanus import ElanusDocumentStore, ElanusEmbedding, ElanusIndexStore
from llama_index.vector_stores.elanus import ElanusKVStore, ElanusSparseEmbedding
from llama_index.vector_stores.elanus import ElanusVectorStore as OfLlamaIndex

client = MilvusClient("a", timeot=3)
client.search("c", data=[[1.0]], limt=3)
client.query("c", limt=3)
client.hybrid_search("c", [], None, limt=3)
client.create_collection("c", dimensoin=3)
client.create_schema(auto_di=True)
client.delete("c", filterr="a > 1")
client.count_values("c", "a", filter_param={})
DocumentStore("a", embeding=None)
DocumentStore("a").search("x", limt=3)
KeyValueStore("a", timeot=3)
ElanusVectorStore(None, ur="x")
ElanusVectorStore(None).similarity_search_with_score("x", filtr="a > 1")
ElanusVectorStore(None).similarity_search_with_score_by_vector([1.0], fiter="a > 1")
ElanusByteStore("a", timeot=3)
OfLlamaIndex("x", colection_name="y")
ElanusKVStore("a", timeot=3)
ElanusDocumentStore("a", timeot=3)
ElanusIndexStore("a", timeot=3)
ElanusEmbedding(None, embed_batchsize=3)
ElanusSparseEmbedding(None, embed_batchsize=3)


async def main(client: AsyncMilvusClient, store: ElanusVectorStore) -> None:
    await client.query("c", limt=3)
    await store.asimilarity_search_with_score("x", filtr="a > 1")
    await store.asimilarity_search_with_score_by_vector([1.0], fiter="a > 1")
"""

RIGHT = """
from elanus import AsyncMilvusClient, KeyValueStore, MilvusClient
from langchain_elanus import ElanusByteStore, ElanusVectorStore
from llama_index.vector_stores.elanus import ElanusDocumentStore, ElanusEmbedding, ElanusIndexStore
from llama_index.vector_stores.elanus import ElanusKVStore, ElanusSparseEmbedding
from llama_index.vector_stores.elanus import ElanusVectorStore as OfLlamaIndex

client = MilvusClient("a", timeout=3, read_only=True)
client.search("c", data=[[1.0]], limit=3, offset=1, consistency_level="Strong")
client.query("c", limit=3, offset=None, filter="a > {b}", filter_params={"b": 1})
client.hybrid_search("c", [], None, limit=3, explain=True, group_by="a", filter="a > 1")
client.create_collection("c", dimension=3, description="birds", num_shards=1)
client.create_schema(auto_id=True, enable_dynamic_field=True)
client.compact("c", is_clustering=False)
ElanusVectorStore(None, uri="x", mode="text", read_only=True, token="", timeout=None)
KeyValueStore("a", timeout=3)
store = ElanusVectorStore(None, title="title")
store.similarity_search_with_score("x", filter={"a": 1}, mode=None, ids=["a"], rerank_top=3)
store.similarity_search_with_score_by_vector([1.0], 3, expr="a > 1", depth=5, context=1)
ElanusByteStore("a", timeout=3)
OfLlamaIndex("x", collection_name="y", dim=3, title="title")
ElanusKVStore("a", timeout=3)
ElanusDocumentStore("a", namespace="b", timeout=3)
ElanusIndexStore("a", read_only=True)
ElanusEmbedding(None, embed_batch_size=3, num_workers=None)
ElanusSparseEmbedding(None, embed_batch_size=3)


async def main(client: AsyncMilvusClient, store: ElanusVectorStore) -> None:
    await client.query("c", limit=3, filter_params={"b": 1})
    await store.asimilarity_search_with_score("x", where_document={"$contains": "b"})
"""


# Only signatures of ours matter here; to read those of the frameworks takes minutes.
SETTINGS = """
[mypy]
follow_imports = skip
follow_imports_for_stubs = True
[mypy-elanus,elanus.client.*,elanus.documents.*,elanus.aio,elanus.arguments,elanus.schema,elanus.schema._arguments,langchain_elanus.*,llama_index.vector_stores.elanus.*]
follow_imports = silent
"""


def checked(text, folder):
    """The lines that mypy finds fault with."""
    file = folder / "calls.py"
    file.write_text(text, encoding="utf-8")
    (folder / "mypy.ini").write_text(SETTINGS, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(folder), str(file)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    found = re.findall(r"calls\.py:(\d+): error: (.*)", run.stdout)
    return {text.splitlines()[int(line) - 1].strip(): says for line, says in found}


def test_every_wrong_name_is_found_and_no_right_one(tmp_path):
    # In one file, so that the packages are read once.
    found = checked(WRONG + RIGHT.replace("client", "right").replace("main", "others"), tmp_path)
    calls = [line.strip() for line in WRONG.splitlines() if re.search(r"\w\(.*=", line)]
    assert len(calls) == 24
    assert list(found) == calls
    assert all("Unexpected keyword argument" in says for says in found.values()), found


def test_what_is_typed_is_what_is_taken():
    with MilvusClient(":memory:") as client:
        client.create_collection("c", dimension=2, description="birds", num_shards=1)
        client.insert("c", [{"id": 1, "vector": [1, 0], "a": 2}])
        rows = client.query("c", "a > {b}", limit=1, offset=0, filter_params={"b": 1}, sync=True)
        assert [row["id"] for row in rows] == [1]
        assert client.create_schema(auto_id=True, description="x").description == "x"

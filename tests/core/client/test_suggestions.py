"""A name that does not exist is refused with the one that was meant."""

from __future__ import annotations

import inspect

import pytest

from elanus import DataType, DocumentStore, Function, FunctionType, MilvusClient, build_analyzer
from elanus.client._client import _FURTHER
from elanus.errors import ElanusError, likely


@pytest.fixture(scope="module")
def client():
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("colour", DataType.VARCHAR)
    with MilvusClient(":memory:") as client:
        client.create_collection("birds", schema=schema)
        yield client


CASES = {
    "keyword of search": (lambda c: c.search("birds", [[1, 0]], limt=5), "limit"),
    "keyword of a store": (lambda c: c.search("birds", [[1, 0]], k=5), "limit"),
    "keyword of other stores": (lambda c: c.query("birds", where="id > 1"), "filter"),
    "keyword in kwargs": (lambda c: c.search("birds", [[1, 0]], filter_param={"a": 1}), "filter_params"),
    "keyword of hybrid search": (lambda c: c.hybrid_search("birds", [1], explained=True), "explain"),
    "keyword of query": (lambda c: c.query("birds", ofset=1), "offset"),
    "keyword of delete": (lambda c: c.delete("birds", filtre="id > 1"), "filter"),
    "keyword of insert": (lambda c: c.insert("birds", [], partition_nam="x"), "partition_name"),
    "keyword of create_collection": (
        lambda c: c.create_collection("x", dimenson=2), "dimension"),
    "keyword of create_schema": (lambda c: c.create_schema(autoid=True), "auto_id"),
    "keyword of replace": (lambda c: c.replace("birds", [], filters="id > 1"), "filter"),
    "option of a client": (lambda _: MilvusClient(":memory:", durabilty="full"), "durability"),
    "option of a store": (lambda _: DocumentStore(":memory:", readonly=True), "read_only"),
    "argument of a store": (lambda _: DocumentStore(":memory:", analyser="english"), "analyzer"),
    "option of a field": (
        lambda c: c.create_schema().add_field("x", DataType.VARCHAR, max_lenght=5), "max_length"),
    "field of a function": (
        lambda c: c.create_schema(fields=[c.create_field_schema("text", DataType.VARCHAR,
                                                                is_primary=True)],
                                  functions=[Function("f", FunctionType.BM25, "txt", "t")]).verify(),
        "text"),
    "search parameter": (
        lambda c: c.search("birds", [[1, 0]], search_params={"nprobes": 5}), "nprobe"),
    "metric": (
        lambda c: c.search("birds", [[1, 0]], search_params={"metric_type": "cosin"}), "COSINE"),
    "index type": (
        lambda c: c.create_index("birds", c.prepare_index_params("vector", index_type="HSNW")), "HNSW"),
    "index parameter": (
        lambda c: c.create_index("birds", c.prepare_index_params(
            "vector", index_type="HNSW", efConstrution=5)), "efConstruction"),
    "field of an index": (
        lambda c: c.create_index("birds", c.prepare_index_params("vectors")), "vector"),
    "output field": (lambda c: c.query("birds", output_fields=["color"]), "colour"),
    "field of a row": (
        lambda c: c.insert("birds", [{"id": 1, "vector": [1, 0], "colour": "", "vektor": 1}]),
        "vector"),
    "field of a filter": (lambda c: c.query("birds", "color == 'red'"), "colour"),
    "function of a filter": (lambda c: c.query("birds", "text_mach(colour, 'a')"), "text_match"),
    "counted field": (lambda c: c.count_values("birds", "colours"), "colour"),
    "collection": (lambda c: c.query("bird"), "birds"),
    "analyzer": (lambda _: build_analyzer("englisch"), "english"),
    "option of an analyzer": (
        lambda _: build_analyzer({"tokenizer": "standard", "filters": []}), "filter"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_name_that_was_meant_is_said(client, case):
    call, meant = CASES[case]
    with pytest.raises(ElanusError) as caught:
        call(client)
    message = str(caught.value)
    assert f"; did you mean '{meant}'?" in message
    assert message.count("did you mean") == 1


def test_an_operator_of_a_dict_is_said_too():
    with (
        DocumentStore(":memory:") as store,
        pytest.raises(ElanusError, match=r"did you mean '\$gte'\?"),
    ):
        store.count({"year": {"$gtee": 5}})


@pytest.mark.parametrize("name", ["zzz", "", "l" * 10_000, "\ud800", None, 5])
def test_what_is_like_nothing_suggests_nothing(name):
    assert likely(name, ["limit", "filter"]) == ""


def test_an_unknown_name_that_is_like_nothing_is_refused_without_a_suggestion(client):
    with pytest.raises(ElanusError) as caught:
        client.search("birds", [[1, 0]], zzqx=5)
    assert str(caught.value) == "search: the argument zzqx=5 is not supported"


ARGUMENTS = {
    "create_schema": (), "create_collection": ("x",), "delete": ("birds",), "query": ("birds",),
    "search": ("birds", [[1, 0]]), "hybrid_search": ("birds", []), "replace": ("birds", []),
    "change_json": ("birds", "$meta"), "count_values": ("birds", "colour"),
    "count_keys": ("birds", "$meta"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "name"), [(c, n) for c, names in _FURTHER.items() for n in names])
def test_every_name_that_may_be_suggested_is_known_to_the_call(client, call, name):
    """A wrong value is refused for what it is, and not as the value of an unknown name."""
    assert name not in inspect.signature(getattr(MilvusClient, call)).parameters
    with pytest.raises(ElanusError) as caught:
        getattr(client, call)(*ARGUMENTS[call], **{name: object()}).freeze()
    assert f"the argument {name}=" not in str(caught.value)

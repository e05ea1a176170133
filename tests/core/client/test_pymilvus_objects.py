"""pymilvus's own objects are taken wherever ours are, and mean the same."""

import pytest

import elanus
from elanus import DataType, Function, FunctionType, LoadState, MilvusClient

pymilvus = pytest.importorskip("pymilvus")

NAMES = ["id", "vector", "weights", "body", "terms", "level", "tags"]


def build_schema(module):
    """The same schema from either module's classes."""
    kinds = module.DataType
    fields = [
        module.FieldSchema("id", kinds.VARCHAR, is_primary=True, max_length=32),
        module.FieldSchema("vector", kinds.FLOAT_VECTOR, dim=3),
        module.FieldSchema("weights", kinds.SPARSE_FLOAT_VECTOR),
        module.FieldSchema(
            "body",
            kinds.VARCHAR,
            max_length=500,
            enable_analyzer=True,
            enable_match=True,
            analyzer_params={"type": "english"},
        ),
        module.FieldSchema("terms", kinds.SPARSE_FLOAT_VECTOR),
        module.FieldSchema("level", kinds.INT16, nullable=True, default_value=7),
        module.FieldSchema(
            "tags", kinds.ARRAY, element_type=kinds.VARCHAR, max_capacity=4, max_length=9
        ),
    ]
    function = module.Function("bm25", module.FunctionType.BM25, ["body"], ["terms"])
    schema = module.CollectionSchema(
        fields, description="both", functions=[function], enable_dynamic_field=True
    )
    if not schema.functions:  # pymilvus 2.6 takes them by add_function only
        schema.add_function(function)
    return schema


def build_indexes(params):
    params.add_index("vector", index_type="HNSW", metric_type="L2", params={"M": 8}, index_name="v")
    params.add_index("weights", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
    params.add_index("terms", "AUTOINDEX", metric_type="BM25", params={"bm25_k1": 1.5})
    params.add_index("level", "INVERTED")
    return params


def pymilvus_indexes():
    return build_indexes(pymilvus.MilvusClient.prepare_index_params())


def our_indexes():
    return build_indexes(MilvusClient.prepare_index_params())


ROWS = [
    {
        "id": f"k{i}",
        "vector": [i, 1, 0],
        "weights": {i: 0.5, 9: 1.0},
        "body": f"running dogs number {i}" + " dog" * i,
        "tags": [f"t{i}"],
        "extra": i,
    }
    for i in range(6)
]


@pytest.fixture
def both(client):
    """Collections "ours" and "theirs", made by either module's objects, with the same rows."""
    client.create_collection("ours", schema=build_schema(elanus), index_params=our_indexes())
    client.create_collection(
        "theirs", schema=build_schema(pymilvus), index_params=pymilvus_indexes()
    )
    for name in ("ours", "theirs"):
        client.insert(name, ROWS)
    return client


def without_identity(description):
    return {
        k: v
        for k, v in description.items()
        if k not in ("collection_name", "collection_id", "created_timestamp")
    }


def test_a_pymilvus_schema_describes_the_same_collection(both):
    ours, theirs = (both.describe_collection(name) for name in ("ours", "theirs"))
    assert without_identity(ours) == without_identity(theirs)
    assert [f["name"] for f in theirs["fields"]] == NAMES


def test_either_schema_counts_as_the_same_collection(both):
    both.create_collection("ours", schema=build_schema(pymilvus))
    both.create_collection("theirs", schema=build_schema(elanus))


def test_pymilvus_index_params_give_the_same_indexes(both):
    names = both.list_indexes("ours")
    assert names == both.list_indexes("theirs") == ["v", "weights", "terms", "level"]
    for name in names:
        assert both.describe_index("ours", name) == both.describe_index("theirs", name)
    described = both.describe_index("theirs", "v")
    assert described["index_type"] == "HNSW"
    assert described["metric_type"] == "L2"
    assert described["params"] == {"M": 8}


def test_create_index_takes_pymilvus_index_params(client):
    client.create_collection("c", schema=build_schema(pymilvus))
    assert client.list_indexes("c") == []
    client.create_index("c", pymilvus_indexes())
    assert client.list_indexes("c") == ["v", "weights", "terms", "level"]


def test_our_add_field_takes_pymilvus_data_types_and_functions(client):
    schema = client.create_schema()
    schema.add_field("id", pymilvus.DataType.INT64, is_primary=True)
    schema.add_field("body", pymilvus.DataType.VARCHAR, max_length=9, enable_analyzer=True)
    schema.add_field("terms", pymilvus.DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(pymilvus.Function("f", pymilvus.FunctionType.BM25, ["body"], ["terms"]))
    client.create_collection("c", schema=schema)
    client.insert("c", [{"id": 1, "body": "a fox"}])
    assert client.search("c", ["fox"], anns_field="terms")[0][0].id == 1


def test_a_schema_built_by_pymilvus_client_is_accepted(client):
    schema = pymilvus.MilvusClient.create_schema(auto_id=True, enable_dynamic_field=True)
    schema.add_field("pk", pymilvus.DataType.INT64, is_primary=True)
    schema.add_field("vector", pymilvus.DataType.FLOAT_VECTOR, dim=2)
    client.create_collection("c", schema=schema)
    keys = client.insert("c", [{"vector": [1, 2]}, {"vector": [3, 4], "x": 1}])["ids"]
    assert len(set(keys)) == 2
    assert client.describe_collection("c")["auto_id"] is True


def requests(module, data=("dog", "running")):
    return [
        module.AnnSearchRequest([[2, 1, 0], [4, 1, 0]], "vector", {"metric_type": "L2"}, 4),
        module.AnnSearchRequest(
            list(data), "terms", {"metric_type": "BM25"}, 3, expr="level == 7 and extra > 0"
        ),
        module.AnnSearchRequest(
            [{3: 1.0}, {9: 1.0}],
            "weights",
            {},
            5,
            expr="extra in {some}",
            expr_params={"some": [1, 3, 5]},
        ),
    ]


@pytest.mark.parametrize(
    "ranker",
    [
        lambda module: module.RRFRanker(),
        lambda module: module.RRFRanker(7),
        lambda module: module.WeightedRanker(0.2, 0.7, 0.5),
        lambda module: module.WeightedRanker(0.2, 0.7, 0.5, norm_score=False),
    ],
    ids=["rrf", "rrf 7", "weighted", "weighted raw"],
)
def test_pymilvus_requests_and_rankers_give_the_same_hits(both, ranker):
    ours = both.hybrid_search("ours", requests(elanus), ranker(elanus), output_fields=["*"])
    theirs = both.hybrid_search("theirs", requests(pymilvus), ranker(pymilvus), output_fields=["*"])
    assert ours == theirs
    assert all(len(hits) >= 5 for hits in ours)


def test_pymilvus_request_with_filter_instead_of_expr(both):
    request = pymilvus.AnnSearchRequest([[0, 1, 0]], "vector", {}, 9, filter="extra >= 4")
    (hits,) = both.hybrid_search("ours", [request], pymilvus.RRFRanker())
    assert [hit["id"] for hit in hits] == ["k4", "k5"]


@pytest.mark.parametrize("name", ["DataType", "FunctionType"])
def test_enumerations_have_pymilvus_names_and_numbers(name):
    ours, theirs = getattr(elanus, name), getattr(pymilvus, name)
    # An older pymilvus lacks the newest members; what both have is equal. Names with an
    # underscore are pymilvus's private ones.
    public = {m.name: m.value for m in theirs if not m.name.startswith("_")}
    assert public.items() <= {m.name: m.value for m in ours}.items()
    assert all(getattr(ours, member) == getattr(theirs, member) for member in public)


def test_load_states_have_pymilvus_names_and_text():
    from pymilvus.client.types import LoadState as Theirs  # noqa: PLC0415  # only if installed

    assert {m.name: m.value for m in Theirs} == {m.name: m.value for m in LoadState}
    assert [repr(m) for m in Theirs] == [repr(m) for m in LoadState]


def test_enumerations_need_no_pymilvus():
    assert DataType.FLOAT_VECTOR == 101
    assert FunctionType.BM25 == 1
    assert Function("f", 1, "a", "b").type is FunctionType.BM25


def doors(module):
    """A schema by each way in which objects of a module can come into ours."""
    kinds = module.DataType
    fields = [
        module.FieldSchema("id", kinds.INT64, is_primary=True),
        module.FieldSchema("body", kinds.VARCHAR, max_length=99, enable_analyzer=True),
        module.FieldSchema("terms", kinds.SPARSE_FLOAT_VECTOR),
    ]
    function = module.Function("bm25", module.FunctionType.BM25, ["body"], ["terms"])
    yield elanus.CollectionSchema(fields, functions=[function])
    yield elanus.CollectionSchema(tuple(fields), "", (f for f in [function]))
    yield elanus.CollectionSchema(fields).add_function(function)
    yield MilvusClient.create_schema(fields=fields, functions=[function])
    by_hand = MilvusClient.create_schema(functions=[function])
    by_hand.add_field("id", kinds.INT64, is_primary=True)
    by_hand.add_field("body", kinds.VARCHAR, max_length=99, enable_analyzer=True)
    yield by_hand.add_field("terms", kinds.SPARSE_FLOAT_VECTOR)
    appended = elanus.CollectionSchema()
    appended.fields += fields
    appended.functions.append(function)
    yield appended


def test_pymilvus_fields_and_functions_are_taken_by_every_door(client):
    expected = next(doors(elanus)).freeze()
    for place, schema in enumerate(doors(pymilvus)):
        assert schema.freeze() == expected, place
        client.create_collection("c", schema=schema)
    client.insert("c", {"id": 1, "body": "a fox"})
    assert client.search("c", ["fox"], anns_field="terms")[0][0].id == 1


def struct_schema():
    struct = pymilvus.StructFieldSchema()
    struct.add_field("part", pymilvus.DataType.VARCHAR, max_length=9)
    schema = pymilvus.MilvusClient.create_schema()
    schema.add_field("id", pymilvus.DataType.INT64, is_primary=True)
    schema.add_field("v", pymilvus.DataType.FLOAT_VECTOR, dim=2)
    schema.add_field(
        "structs", pymilvus.DataType.ARRAY, element_type=pymilvus.DataType.STRUCT,
        struct_schema=struct, max_capacity=5,
    )  # fmt: skip
    return schema


def rerank_function():
    return pymilvus.Function(
        "r", pymilvus.FunctionType.RERANK, [], [], params={"reranker": "decay"}
    )


REFUSED = {
    "struct": lambda c: c.create_collection("n", schema=struct_schema()),
    "struct option": lambda c: c.create_schema().add_field(
        "s", pymilvus.DataType.ARRAY, element_type=pymilvus.DataType.STRUCT,
        struct_schema=pymilvus.StructFieldSchema(),
    ),
    "struct as a field": lambda c: c.create_schema(fields=[pymilvus.StructFieldSchema()]),
    "binary vector": lambda c: c.create_schema(
        fields=[pymilvus.FieldSchema("b", pymilvus.DataType.BINARY_VECTOR, dim=8)]
    ),
    "partition key": lambda c: c.create_schema(
        fields=[pymilvus.FieldSchema("b", pymilvus.DataType.INT64, is_partition_key=True)]
    ),
    "field for a function": lambda c: c.create_schema().add_function(
        pymilvus.FieldSchema("b", pymilvus.DataType.INT64)
    ),
    "function for a field": lambda c: c.create_schema(fields=[rerank_function()]),
    "function for a ranker": lambda c: c.hybrid_search(
        "c", [pymilvus.AnnSearchRequest([[1, 2, 3]], "vector", {}, 3)], rerank_function()
    ),
    "fields for a schema": lambda c: c.create_collection(
        "n", schema=[pymilvus.FieldSchema("id", pymilvus.DataType.INT64, is_primary=True)]
    ),
    "schema for indexes": lambda c: c.create_collection(
        "n", dimension=2, index_params=pymilvus.MilvusClient.create_schema()
    ),
    "ranker for a request": lambda c: c.hybrid_search("c", [pymilvus.RRFRanker()]),
    "request for a ranker": lambda c: c.hybrid_search(
        "c", [pymilvus.AnnSearchRequest([[1, 2, 3]], "vector", {}, 3)],
        pymilvus.AnnSearchRequest([[1, 2, 3]], "vector", {}, 3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_pymilvus_objects_in_a_wrong_place_are_refused_by_our_errors(client, call):
    client.create_collection("c", schema=build_schema(pymilvus))
    with pytest.raises(elanus.ElanusError) as caught:
        call(client)
    assert type(caught.value).__module__ == "elanus.errors"
    assert len(str(caught.value)) < 1_000


def test_other_pymilvus_values_in_arguments(client):
    client.create_collection("c", dimension=2, id_type=pymilvus.DataType.VARCHAR, max_length=9)
    assert client.describe_collection("c")["fields"][0]["type"] == DataType.VARCHAR
    field = client.create_field_schema("x", pymilvus.DataType.INT8)
    assert field.dtype is DataType.INT8
    hits = client.hybrid_search(
        "c", [pymilvus.AnnSearchRequest([[1, 2]], "vector", {}, 3)], pymilvus.WeightedRanker(1)
    )
    assert hits == [[]]

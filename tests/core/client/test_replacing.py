"""``replace`` and ``change_json``: many rows in one commit, and nothing that stays is touched."""

from __future__ import annotations

import threading

import pytest

from elanus import DataType, Function, FunctionType, MilvusClient
from elanus.errors import CollectionNotFoundError, DataNotMatchException, ParamError, ReadOnlyError

FIELDS = ["id", "group", "text", "meta", "v", "s"]


def row(key, group="a", text="red kite", number=0, **meta):
    return {
        "id": key, "group": group, "text": text, "meta": meta, "v": [number, 1.0], "s": {3: 1.0},
    }  # fmt: skip


@pytest.fixture
def client():
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.VARCHAR, is_primary=True)
    schema.add_field("group", DataType.VARCHAR)
    schema.add_field("text", DataType.VARCHAR, enable_analyzer=True)
    schema.add_field("meta", DataType.JSON, nullable=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("s", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("terms", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(Function("bm25", FunctionType.BM25, ["text"], ["terms"]))
    with MilvusClient(":memory:") as client:
        client.create_collection("c", schema=schema)
        client.insert("c", [row("1"), row("2", n=1), row("3", text="barn owl"), row("9", "b")])
        yield client
        assert client.verify() == []


def state(client):
    return client.query("c", output_fields=FIELDS)


def numbers_of(client):
    """Numbers of the rows in the file, which every rewriting changes."""
    return dict(client._database.file.apart.run(lambda: _pairs(client)))


def _pairs(client):
    with client._database.file.read() as db:
        return list(db.execute("SELECT pk, row FROM c1_rows"))


def found(client, word):
    return sorted(hit.id for hit in client.search("c", [word], anns_field="terms")[0])


# --- replacing -----------------------------------------------------------------------------------


def test_selected_rows_become_those_that_are_given_and_others_stay(client):
    new = [row("2", n=1), row("3", text="emperor penguin"), row("4", text="red fox", number=7)]
    took = client.replace("c", new, "group == 'a'")
    assert took == {
        "ids": ["2", "3", "4"], "upsert_count": 2, "delete_count": 1, "unchanged_count": 1,
    }  # fmt: skip
    assert state(client) == [*new, row("9", "b")]
    assert (found(client, "penguin"), found(client, "owl")) == (["3"], [])
    assert found(client, "red") == ["2", "4", "9"]


def test_a_row_that_is_stored_as_it_is_given_is_not_written_again(client):
    before = numbers_of(client)
    client.replace("c", [row("1"), row("2", n=2), row("3", text="barn owl")], "group == 'a'")
    after = numbers_of(client)
    assert {key for key in before if before[key] != after[key]} == {"2"}


@pytest.mark.parametrize(
    "other", [{"n": 1.0}, {"n": True}, {"n": "1"}, {"n": 1, "m": None}, {}], ids=repr
)
def test_values_that_python_calls_equal_are_different(client, other):
    took = client.replace("c", row("2", **other), "id == '2'")
    assert (took["upsert_count"], took["unchanged_count"]) == (1, 0)
    assert repr(client.get("c", "2", ["meta"])[0]["meta"]) == repr(other)


@pytest.mark.parametrize("part", [{"v": [0.5, 1.0]}, {"s": {3: 2.0}}, {"text": "x"}])
def test_a_row_of_which_any_field_differs_is_written(client, part):
    took = client.replace("c", row("1") | part, "id == '1'")
    assert took["upsert_count"] == 1
    assert client.get("c", "1", FIELDS) == [row("1") | part]


def test_nothing_in_place_of_all(client):
    assert client.replace("c", [], "group == 'a'")["delete_count"] == 3
    assert state(client) == [row("9", "b")]
    assert client.replace("c", [row("5")])["delete_count"] == 1
    assert state(client) == [row("5")]


def test_values_go_into_the_templates_of_the_filter(client):
    client.replace("c", [], "group == {g}", filter_params={"g": "b"})
    assert [r["id"] for r in state(client)] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("data", "filter", "error", "says"),
    [
        ([row("9")], "group == 'a'", ParamError, "'9' is the key of a row that the filter does"),
        ([row("1"), row("5"), row("1")], "group == 'a'", DataNotMatchException, "row 2: key '1'"),
        ([row("1"), {"id": "2"}], "group == 'a'", DataNotMatchException, "row 1: field 'group'"),
        ("text", "", ParamError, "replace: data must be"),
        ([row("1")], "group ==", ParamError, "filter"),
    ],
)
def test_what_is_refused_changes_nothing(client, data, filter, error, says):
    before = state(client)
    with pytest.raises(error, match=says):
        client.replace("c", data, filter)
    assert state(client) == before


def test_a_refusal_forgets_the_numbers_of_its_new_terms(client):
    words = ["".join(chr(97 + int(digit)) for digit in f"{i:05}") for i in range(5001)]
    many = [row(f"k{word}", text=word) for word in words]
    with pytest.raises(ParamError, match="'9'"):
        client.replace("c", [*many, row("9")], "group == 'a'")
    client.replace("c", [row("1", text=f"{words[7]} again")], "group == 'a'")
    assert (found(client, words[7]), found(client, words[8])) == (["1"], [])


def test_a_missing_collection_and_a_read_only_file_refuse(tmp_path):
    with MilvusClient(tmp_path / "a.db") as client:
        client.create_collection("c", dimension=2)
        with pytest.raises(CollectionNotFoundError, match="nothing"):
            client.replace("nothing", [])
    with MilvusClient(tmp_path / "a.db", read_only=True) as client:
        with pytest.raises(ReadOnlyError):
            client.replace("c", [])
        with pytest.raises(ReadOnlyError):
            client.change_json("c", "$meta", {"a": 1}, ids=[1])


def test_keys_that_the_engine_makes_are_given_back():
    with MilvusClient(":memory:") as client:
        client.create_collection("c", dimension=2, auto_id=True)
        client.insert("c", [{"vector": [0, 1], "x": 1}, {"vector": [0, 1], "x": 2}])
        ids = client.replace("c", [{"vector": [1, 1]}] * 2, "x == 1")["ids"]
        assert len(set(ids)) == 2
        assert len(client.query("c")) == 3
        assert len(client.get("c", ids)) == 2


def test_replacing_at_once_from_several_threads_leaves_the_rows_of_one(client):
    """Each would delete what it saw at its beginning, and leave over what the others added."""
    barrier = threading.Barrier(4)

    def replace(number):
        barrier.wait()
        for turn in range(5):
            new = [row(f"{number}-{turn}-{i}", text=f"by {number}") for i in range(4)]
            client.replace("c", new, "group == 'a'")

    threads = [threading.Thread(target=replace, args=[n]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = [r["id"] for r in state(client) if r["group"] == "a"]
    assert len(left) == 4
    assert len({key.rpartition("-")[0] for key in left}) == 1


# --- changing JSON -------------------------------------------------------------------------------


def test_keys_are_set_and_removed_and_all_else_stays(client):
    client.insert("c", row("5", number=3, a=1, b={"c": 2}, d=None))
    assert client.change_json("c", "meta", {"a": [1], "e": None}, ["d", "x"], ids="5") == 1
    assert client.get("c", "5", FIELDS) == [row("5", number=3, a=[1], b={"c": 2}, e=None)]
    assert found(client, "red") == ["1", "2", "5", "9"]
    assert client.search("c", [[3, 1]], anns_field="v", limit=1)[0][0].id == "5"
    assert client.search("c", [{3: 1.0}], anns_field="s", filter="id == '5'")[0][0].id == "5"


def test_rows_are_chosen_by_filter_or_by_keys(client):
    assert client.change_json("c", "meta", {"x": 1}, filter="group == 'a'") == 3
    assert client.change_json("c", "meta", {"y": 1}, ids=["9", "nobody", "1", "9"]) == 2
    assert {r["id"]: r["meta"] for r in state(client)} == {
        "1": {"x": 1, "y": 1}, "2": {"n": 1, "x": 1}, "3": {"x": 1}, "9": {"y": 1},
    }  # fmt: skip


def test_a_row_that_is_so_already_is_not_written_again(client):
    before = numbers_of(client)
    assert client.change_json("c", "meta", {"n": 1}, filter="group == 'a'") == 3
    after = numbers_of(client)
    assert {key for key in before if before[key] != after[key]} == {"1", "3"}


def test_null_becomes_an_object(client):
    client.insert("c", row("5") | {"meta": None})
    client.change_json("c", "meta", {"a": 1}, ids="5")
    assert client.get("c", "5", ["meta"]) == [{"id": "5", "meta": {"a": 1}}]


def test_null_stays_null_where_nothing_is_set(client):
    client.insert("c", row("5") | {"meta": None})
    before = numbers_of(client)
    assert client.change_json("c", "meta", remove=["a"], ids="5") == 1
    assert client.get("c", "5", ["meta"]) == [{"id": "5", "meta": None}]
    assert numbers_of(client) == before


def test_a_row_without_dynamic_keys_is_as_it_was_inserted():
    """Whether it never had any, or lost the last: ``replace`` finds it unchanged."""
    with MilvusClient(":memory:") as client:
        client.create_collection("c", dimension=2)
        plain = [{"id": 1, "vector": [0, 1]}, {"id": 2, "vector": [0, 1]}]
        client.insert("c", [plain[0], plain[1] | {"x": 1}])
        assert client.change_json("c", "$meta", remove=["x"], ids=[1, 2]) == 2
        said = client.replace("c", plain)
        assert (said["unchanged_count"], said["upsert_count"]) == (2, 0)


def test_dynamic_keys_are_changed_by_the_name_of_their_field():
    with MilvusClient(":memory:") as client:
        client.create_collection("c", dimension=2)
        client.insert("c", [{"id": 1, "vector": [0, 1]}, {"id": 2, "vector": [0, 1], "x": 1}])
        assert client.change_json("c", "$meta", {"y": 2}, ["x"], filter="id > 0") == 2
        assert client.query("c", output_fields=["x", "y"]) == [{"id": 1, "y": 2}, {"id": 2, "y": 2}]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"ids": "1", "filter": "group == 'a'"}, "either ids or a filter"),
        ({}, "either ids or a filter"),
        ({"ids": "1", "values": [1]}, r"values must be a dict, got \[1\]"),
        ({"ids": "1", "values": {"a": {1}}}, r"values: at \['a'\]: set is no JSON value"),
        ({"ids": "1", "remove": "a"}, "remove must be a list of names, got 'a'"),
        ({"ids": "1", "field_name": "group"}, "'group' is of type VARCHAR; give a JSON field"),
        ({"ids": "1", "field_name": "mete"}, "no field 'mete'; fields: id, group"),
        ({"ids": 1}, "must be a string"),
    ],
)
def test_wrong_arguments_change_nothing(client, arguments, says):
    before = numbers_of(client)
    with pytest.raises((ParamError, DataNotMatchException), match=says):
        client.change_json("c", **{"field_name": "meta", "values": {"a": 1}, **arguments})
    assert numbers_of(client) == before


def test_a_value_that_is_no_object_is_refused_with_all_rows(client):
    client.insert("c", row("5") | {"meta": [1]})
    before = numbers_of(client)
    with pytest.raises(ParamError, match=r"'meta' of a row is no object: \[1\]"):
        client.change_json("c", "meta", {"a": 1}, filter="group == 'a'")
    assert numbers_of(client) == before

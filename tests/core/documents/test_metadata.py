"""Metadata comes back exactly, whatever its keys, and filters reach every key."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus import DocumentStore
from elanus.errors import DataNotMatchException, FilterError, ParamError, quoted

KEYS = (
    "id", "text", "vector", "metadata", "terms", "$meta", "$eq", "a.b", "a", 'with "quotes"',
    "with 'quotes'", "back\\slash", "", " ", "new\nline", "tab\t", "\0", "{p0}", "über", "字", "🦅",
    "like", "and", "true", "count(*)", "*", "distance", "score", "pk", "entity", "x] or [",
)  # fmt: skip

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
NAMES = st.sampled_from(KEYS) | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
METADATA = st.dictionaries(NAMES, VALUES, max_size=5)


def exactly(value):
    """A value with its types, since ``1 == 1.0 == True`` to Python."""
    if isinstance(value, dict):
        return {key: exactly(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [exactly(inner) for inner in value]
    return type(value).__name__, repr(value)


def ids_of(documents):
    return sorted(document.id for document in documents)


def found(store, filter):
    """The ids that a filter finds: the same in every mode, and as counted."""
    ids = {
        mode: ids_of(store.search("document", k=100, mode=mode, filter=filter))
        for mode in ("hybrid", "dense", "text")
    }
    assert ids["hybrid"] == ids["dense"] == ids["text"]
    assert store.count(filter) == len(ids["hybrid"])
    return ids["hybrid"]


@pytest.fixture(scope="module")
def shared(module_embedding):
    store = DocumentStore(":memory:", module_embedding)
    yield store
    assert store.verify() == []
    store.close()


@given(METADATA)
def test_metadata_comes_back_exactly_by_every_way(shared, metadata):
    shared.add(["document"], [metadata], ["x"])
    expected = exactly(metadata)
    assert exactly(shared.get("x")[0].metadata) == expected
    assert exactly(next(iter(shared)).metadata) == expected
    for mode in ("hybrid", "dense", "text"):
        assert exactly(shared.search("document", mode=mode)[0].metadata) == expected


def test_scalars_and_arrays_of_numpy_are_their_plain_values(store):
    metadata = {"a": np.int64(2**53 + 1), "b": [np.float32(0.5), np.bool_(True)], "c": np.str_("x")}
    store.add(["document"], [{**metadata, "d": np.array([[1, 2]], "u1")}], ["x"])
    plain = {"a": 2**53 + 1, "b": [0.5, True], "c": "x", "d": [[1, 2]]}
    assert exactly(store.get("x")[0].metadata) == exactly(plain)
    assert found(store, {"a": np.int64(2**53 + 1)}) == ["x"]


@pytest.mark.parametrize(
    "value",
    [
        b"x",
        np.bytes_(b"x"),
        np.datetime64(5, "ns"),
        np.timedelta64(5, "ns"),
        np.array([5], "M8[ns]"),
        np.array(5, "m8[ns]"),
        np.array([b"x"]),
        np.zeros(1, [("a", "M8[ns]")]),
        np.complex64(1),
    ],
    ids=repr,
)
def test_what_json_lacks_is_refused_by_document_and_key(store, value):
    for metadata in ({"k": value}, {"k": [value]}, {"k": {"a": (value,)}}):
        with pytest.raises(DataNotMatchException, match=r"document 1, metadata: at \['k'\]"):
            store.add(["good", "bad"], [{}, metadata])
    assert store.count() == 0


@pytest.mark.parametrize("inside", [("a", "b"), ("a",), (), (("a",), 1), frozenset({"a"}), 1, b"a"])
def test_a_key_that_is_no_string_is_refused_by_document_and_key(store, inside):
    store.add(["kept"], ids=["x"])
    counts = {"counts": {inside: 1, "half \ud800": 2}}
    says = r"at \['counts'\]: a JSON key must be a string, not " + re.escape(quoted(inside))
    calls = (store.add, store.check_add, lambda *given: store.sync("s", *given))
    for call in calls:
        with pytest.raises(DataNotMatchException, match=f"document 1, metadata: {says}"):
            call(["a", "b"], [{}, counts])
    with pytest.raises(ParamError, match=f"values: {says}"):
        store.update_metadata("x", counts)
    with pytest.raises(DataNotMatchException, match="a JSON key must be a string, not"):
        store.add(["a"], [{inside: 1}])
    assert [(d.id, d.metadata) for d in store] == [("x", {})]


def test_metadata_survives_the_file(open_store, embedding, tmp_path):
    metadata = {key: {key: [key, None, True, 1, 1.0, -0.0, 2**53 + 1, {}, []]} for key in KEYS}
    first = open_store(tmp_path / "kb.db", embedding)
    first.add(["document"], [metadata], ["x"])
    first.close()
    again = open_store(tmp_path / "kb.db", embedding)
    assert exactly(again.get("x")[0].metadata) == exactly(metadata)


@pytest.mark.parametrize("key", [key for key in KEYS if not key.startswith("$")])
def test_a_dict_filter_reaches_any_key_but_an_operators(store, key):
    store.add(["document"] * 3, [{key: 1}, {key: 2}, {"else": 1}], ["one", "two", "none"])
    assert found(store, {key: 1}) == ["one"]
    assert found(store, {key: {"$gte": 1}}) == ["one", "two"]
    assert found(store, {key: {"$exists": False}}) == ["none"]


@pytest.mark.parametrize(
    "name", ["id", "text", "vector", "metadata", "terms", "über", "字", "pk", "distance"]
)
def test_a_bare_name_is_a_metadata_key_even_if_a_field_has_that_name(store, name):
    store.add(["document"] * 2, [{name: "a"}, {name: "b"}], ["b", "a"])
    assert found(store, f"{name} == 'a'") == ["b"]
    assert found(store, f"{name} in ['b', 'c']") == ["a"]


def test_a_path_reaches_into_metadata(store):
    store.add(["document"] * 2, [{"a": {"b": [1, {"c": "x"}]}}, {"a.b": 1}], ["deep", "flat"])
    assert found(store, "a['b'][1]['c'] == 'x'") == ["deep"]
    assert found(store, "a['b'][0] == 1") == ["deep"]
    assert found(store, {"a.b": 1}) == ["flat"]


FILTERS = [
    ("n > 1", ["c", "d"]),
    ("n == 1", ["b"]),
    ("n != 1", ["a", "c", "d"]),
    ("n in [0, 3]", ["a", "d"]),
    ("not (n in [0, 3])", ["b", "c"]),
    ("0 < n <= 2", ["b", "c"]),
    ("n % 2 == 1 and lang == 'en'", ["d"]),
    ("lang like 'e%' or n == 1", ["a", "b", "d"]),
    ("lang is null", ["c", "e"]),
    ("exists tags", ["a", "e"]),
    ("json_contains(tags, 'x')", ["a"]),
    ("array_length(tags) == 2", ["a"]),
    ("flag == true", ["b"]),
    ("text_match(text, 'second')", ["b"]),
    ("text_match(text, 'second') or n == 3", ["b", "d"]),
    ({"n": 1}, ["b"]),
    ({"n": {"$ne": 1}}, ["a", "c", "d", "e"]),
    ({"n": {"$gt": 0, "$lte": 2}}, ["b", "c"]),
    ({"lang": None}, ["c", "e"]),
    ({"lang": {"$in": ["en", None]}}, ["a", "c", "d", "e"]),
    ({"lang": {"$nin": ["en"]}}, ["b", "c", "e"]),
    ({"lang": {"$like": "e%"}}, ["a", "d"]),
    ({"tags": {"$contains": "x"}}, ["a"]),
    ({"tags": {"$exists": True}}, ["a", "e"]),
    ({"n": {"$not": {"$gt": 1}}}, ["a", "b", "e"]),
    ({"$or": [{"n": 0}, {"$and": [{"lang": "en"}, {"n": {"$gte": 3}}]}]}, ["a", "d"]),
    (
        {"$or": [{"$or": [{"n": 0}, {"n": 2}]}, {"$nor": [{"n": {"$exists": True}}]}]},
        ["a", "c", "e"],
    ),
    ({"$not": {"$or": [{"n": 0}, {"lang": "de"}]}}, ["c", "d", "e"]),
    ({"lang": "en", "$or": [{"n": 0}, {"n": 1}]}, ["a"]),
]


@pytest.mark.parametrize(("filter", "expected"), FILTERS, ids=[str(f) for f, _ in FILTERS])
def test_a_filter_finds_what_it_says(store, filter, expected):
    store.add(
        ["document first", "document second", "document", "document", "document"],
        [
            {"n": 0, "lang": "en", "tags": ["x", "y"]},
            {"n": 1, "lang": "de", "flag": True},
            {"n": 2, "flag": False},
            {"n": 3, "lang": "en", "flag": None},
            {"tags": []},
        ],
        list("abcde"),
    )
    assert found(store, filter) == expected


@pytest.mark.parametrize("filter", [None, "", {}])
def test_no_filter_finds_everything(store, filter):
    store.add(["document"] * 3, ids=list("abc"))
    assert found(store, filter) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "value",
    ['" or n >= 0 or "', "' or n >= 0 or '", "\\", '\\" or true == true or \\"', "{p0}", "x\ny", "\0",
     "*/ or 1 == 1 --", "字'字", "%", "_", "$meta"],
)  # fmt: skip
def test_a_value_is_never_read_as_part_of_the_filter(store, value):
    store.add(["document"] * 2, [{"k": value, "n": 1}, {"k": "other", "n": 2}], ["a", "b"])
    assert found(store, {"k": value}) == ["a"]
    assert found(store, {"k": {"$ne": value}}) == ["b"]
    assert found(store, {"k": {"$in": [value]}}) == ["a"]
    assert found(store, {"$or": [{"k": value}, {"k": {"$eq": value}}]}) == ["a"]


def test_a_key_is_never_read_as_part_of_the_filter(store):
    store.add(["document"], [{"n": 1}], ["a"])
    assert found(store, {'x"] == 1 or metadata["n': 1}) == []


@pytest.mark.parametrize(
    ("filter", "says"),
    [
        ("n = 1", "=="),
        ("n >", "position"),
        ("text_match(title, 'x')", "analysed fields only, here: text"),
        ("$meta['n'] == 1", "meta"),
        ({"n": {"$size": 1}}, r"unknown operator '\$size'"),
        ({"n": {"$regex": "(x"}}, r"'n': \$regex"),
        ("n =~ '(x'", "invalid regular expression"),
        ({"$xor": [{"n": 1}]}, r"unknown operator '\$xor'"),
        ({"$or": {"n": 1}}, "list of filter dicts"),
        ({"$or": []}, "list of filter dicts"),
        ({"n": {}}, "no operator"),
        ({"n": {"$gt": None}}, "number or a string"),
        ({"n": {"$in": 5}}, "needs a list"),
        ({5: 1}, "key of a filter dict is a string"),
        ({"n": object()}, "'n'"),
    ],
)
def test_a_wrong_filter_is_an_error_that_points_at_the_fault(store, filter, says):
    store.add(["document"], [{"n": 1}])
    for call in (
        store.count,
        lambda f: store.search("x", filter=f),
        lambda f: store.delete(filter=f),
    ):
        with pytest.raises(FilterError, match=says):
            call(filter)
    assert store.count() == 1


@given(metadata=METADATA, data=st.data())
def test_an_equality_filter_on_any_scalar_finds_its_document(shared, metadata, data):
    scalars = {
        k: v
        for k, v in metadata.items()
        if isinstance(v, str | int | float) and not k.startswith("$")
    }
    shared.add(["document"], [metadata], ["x"])
    if scalars:
        key = data.draw(st.sampled_from(sorted(scalars)))
        assert shared.count({key: scalars[key]}) == 1
        assert shared.count({key: {"$ne": scalars[key]}}) == 0


def test_whoever_adds_or_syncs_again_sets_the_metadata_again(open_store, make_embedding):
    embedding = make_embedding()
    store = open_store(":memory:", embedding)
    (made,) = store.add(["a kite"], [{"year": 1}], "content")
    store.update_metadata(made, {"seen": True})
    assert store.add(["a kite"], [{"year": 1}], "content") == [made]
    assert [d.metadata for d in store] == [{"year": 1}]
    assert embedding.document_calls == 2
    (synced,) = store.sync("s", ["an owl"]).ids
    store.update_metadata(synced, {"seen": True})
    assert store.sync("s", ["an owl"]).written == 1
    assert store.get(synced)[0].metadata == {"source": "s", "position": 0}
    assert embedding.document_calls == 3


def test_a_key_that_is_to_be_set_and_removed_is_refused_by_name(store):
    store.add(["one"], [{"q": 0}], ["a"])
    with pytest.raises(ParamError, match="values and remove both name 'q'"):
        store.update_metadata("a", {"p": 1, "q": 1}, remove=["r", "q"])
    assert store.get("a")[0].metadata == {"q": 0}


@pytest.mark.parametrize("operator", ["$in", "$any", "$all"])
def test_lists_of_values_may_be_arrays(store, operator):
    store.add(
        ["document one", "document two"], [{"k": 3, "l": [3, 4]}, {"k": 5, "l": [5]}], ["a", "b"]
    )
    values = np.array([3, 4])
    assert found(store, {"k" if operator == "$in" else "l": {operator: values}}) == ["a"]
    assert found(store, {"k": {"$nin": values}}) == ["b"]
    with pytest.raises(FilterError, match="needs a list"):
        store.count({"k": {operator: np.array(3)}})


def test_what_could_find_nothing_is_refused_in_filters(store):
    store.add(["one"], [{"l": [1.0, float("nan")], "s": 1}], ["a"])
    nan = float("nan")
    for wrong in ({1}, frozenset({1})):
        with pytest.raises(FilterError, match=r"key 's' is .*nothing that is stored equals a set"):
            store.count({"s": wrong})
    for wrong in ([1.0, nan], [1, [nan, "x"]]):
        with pytest.raises(FilterError, match=r"'l' is or holds NaN"):
            store.count({"l": wrong})
    assert store.count({"s": {"$in": [nan, 1]}}) == 1
    assert store.count({"missing": nan}) == 1

"""Numpy is never given a member of an Enum: what a handler raises in the Enum's code, it drops."""

import sys

import pytest

from elanus import DocumentStore

CALLS = {
    "facets": lambda s: s.facets("g"),
    "facets of arrays": lambda s: s.facets("tags"),
    "keys": lambda s: s.keys(),
    "statistics": lambda s: s.stats(),
    "groups": lambda s: s.search("text", mode="text", group_by="g"),
    "a dict": lambda s: s.count({"g": {"$in": [1, 2]}}),
    "mixed values": lambda s: s.count('g in ["a", 1]'),
    "a range in a search": lambda s: s.search("text", mode="text", filter={"g": {"$gt": 1}}),
    "arithmetic": lambda s: s.count("g + 1 > 3 and g != 2 and g / 2 < 4"),
    "fields": lambda s: s.count("g > word or tags == other"),
    "patterns": lambda s: s.count('word like "w%" or not (g == 1)'),
    "arrays": lambda s: s.count('array_contains(tags, "a") and array_length(tags) == 2'),
    "an array": lambda s: s.count('tags == ["a", 1]'),
    "null": lambda s: s.count("exists g and g is not null and flag == true"),
}


@pytest.fixture
def store(tmp_path):
    with DocumentStore(tmp_path / "kb.db") as store:
        found = [
            {"g": i % 3, "tags": ["a", i], "word": f"w{i}", "other": [1], "flag": i > 2, "o": {}}
            for i in range(6)
        ]
        store.add([f"text {i}" for i in range(6)], [*found[:5], {"g": "a", "flag": None}])
        yield store


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_numpy_asks_no_enum_for_attributes(call, store):
    asked = []

    def note(frame, event, _):
        code = frame.f_code
        if event == "call" and "enum" in code.co_filename and code.co_name == "__getattr__":
            asked.append((frame.f_back.f_code.co_filename, frame.f_back.f_lineno))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call(store)
    finally:
        sys.setprofile(before)
    assert asked == []

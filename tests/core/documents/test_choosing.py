"""Choosing among documents: by ids, with vectors, by how deep the legs look."""

from __future__ import annotations

import numpy as np
import pytest

from elanus import RRFRanker
from elanus.errors import FilterError, ParamError

MODES = ("hybrid", "dense", "text")


@pytest.fixture
def numbered(store):
    """Three hundred documents; all hold one word, and some a second one."""
    texts = [f"kite number{i}" + " owl" * (i % 3) for i in range(300)]
    store.add(texts, [{"n": i, "id": "x", "ids_": "y"} for i in range(300)], [*names(300)])
    return store


def names(count):
    return [f"d{i:03}" for i in range(count)]


# --- ids ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_only_the_given_ids_are_found_and_all_of_them(numbered, mode):
    wanted = ["d007", "d299", "d100", "dodo"]
    hits = numbered.search("kite", k=10, mode=mode, ids=wanted)
    assert {h.id for h in hits} == {"d007", "d299", "d100"}
    every = numbered.search("kite", k=300, mode=mode, depth=300)
    if mode != "hybrid":  # how far vectors are trusted depends on what was found
        kept = [h for h in every if h.id in wanted]
        assert [(h.id, h.text, h.metadata, h.score) for h in hits] == [
            (h.id, h.text, h.metadata, h.score) for h in kept
        ]
    # Fewer rivals: none is less relevant among few than among all.
    relevances = {h.id: h.relevance for h in every}
    assert all(h.relevance >= relevances[h.id] for h in hits if mode != "hybrid")


@pytest.mark.parametrize("mode", MODES)
def test_one_id_may_stand_alone_and_no_id_finds_nothing(numbered, mode):
    assert [h.id for h in numbered.search("kite", mode=mode, ids="d005")] == ["d005"]
    assert numbered.search("kite", mode=mode, ids=[]) == []
    assert numbered.search_mmr("kite", mode=mode, ids=[]) == []


@pytest.mark.parametrize(
    "filter", ["n < 100 or n > 290", {"$or": [{"n": {"$lt": 100}}, {"n": 299}]}]
)
def test_ids_and_a_filter_both_hold(numbered, filter):
    wanted = {"d007", "d299", "d100"}
    for found in (
        numbered.search("kite", filter=filter, ids=wanted),
        numbered.search_mmr("kite", filter=filter, ids=wanted),
        numbered.get(wanted, filter=filter),
    ):
        assert {each.id for each in found} == {"d007", "d299"}


def test_the_ids_do_not_touch_metadata_keys_of_that_name(numbered):
    found = numbered.search("kite", filter="id == 'x' and ids_ == 'y'", ids=["d001"])
    assert [h.id for h in found] == ["d001"]


def test_ids_are_values_and_no_syntax(numbered):
    odd = ["' or true", '"] or true or id in ["', "{ids_}", "\0", "💥"]
    assert numbered.search("kite", ids=odd) == []
    numbered.add(["kite"] * len(odd), ids=odd)
    assert {h.id for h in numbered.search("kite", ids=odd)} == set(odd)
    assert {d.id for d in numbered.get(odd, filter={"n": None})} == set(odd)


@pytest.mark.parametrize("ids", [5, [5], ["a", None], b"a", {"a": 1}])
def test_ids_that_are_no_strings_are_an_error(birds, ids):
    for call in (
        lambda: birds.search("owl", ids=ids),
        lambda: birds.search_mmr("owl", ids=ids),
        lambda: birds.get(ids),
        lambda: birds.get(ids, filter="n == 1"),
        lambda: birds.delete(ids),
    ):
        with pytest.raises(ParamError, match="ids must be"):
            call()


# --- get ---------------------------------------------------------------------------------------


def test_get_by_filter_gives_all_that_pass_in_the_order_of_ids(numbered):
    assert [d.id for d in numbered.get(filter="n % 100 == 7")] == ["d007", "d107", "d207"]
    assert [d.metadata["n"] for d in numbered.get(filter={"n": {"$in": [5, 3]}})] == [3, 5]
    assert numbered.get(filter="n > 1000") == []
    assert len(numbered.get(filter="n >= 0")) == 300


@pytest.mark.parametrize("arguments", [{}, {"filter": ""}, {"filter": {}}])
def test_get_needs_ids_or_a_filter(birds, arguments):
    with pytest.raises(ParamError, match="ids, a filter, or both"):
        birds.get(**arguments)


def test_a_filter_of_get_that_is_wrong_is_an_error(birds):
    with pytest.raises(FilterError):
        birds.get(filter="n ==")


# --- vectors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_hits_carry_the_stored_vectors_when_asked(birds, embedding, mode):
    plain = birds.search("kite owl", mode=mode)
    hits = birds.search("kite owl", mode=mode, with_vectors=True, explain=False)
    assert hits == plain
    assert all(h.vector is None for h in plain)
    for hit in hits:
        assert hit.vector.dtype == np.float32
        assert hit.vector.tolist() == embedding.encode_documents([hit.text])[0].tolist()


def test_get_carries_the_stored_vectors_when_asked(open_store):
    store = open_store(dim=3)
    vectors = np.array([[3, 4, 0], [0, 0, 0], [1e-30, 1, 2]], np.float32)
    store.add(["a", "b", "c"], ids=["a", "b", "c"], vectors=vectors)
    for found in (
        store.get(["c", "a", "b"], with_vectors=True),
        store.get(filter={"n": None}, with_vectors=True),
    ):
        assert {d.id: d.vector.tolist() for d in found} == dict(
            zip("abc", vectors.tolist(), strict=True)
        )
    assert store.get("a")[0].vector is None
    assert store.get("a") == store.get("a", with_vectors=True)


def test_a_store_without_vectors_has_none_to_give(open_store):
    store = open_store()
    store.add(["a bird"], ids=["a"])
    assert store.get("a", with_vectors=True)[0].vector is None
    assert store.search("bird", mode="text", with_vectors=True)[0].vector is None


# --- depth -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("depth", "dense", "text"),
    [(3, 3, 3), ({"dense": 2, "text": 5}, 2, 5), ({"text": 1}, 100, 1), ({}, 100, 100)],
)
def test_each_leg_gives_as_many_hits_as_its_depth(numbered, depth, dense, text):
    expected = {}
    for mode, most in (("dense", dense), ("text", text)):
        for rank, hit in enumerate(numbered.search("owl number7", k=most, mode=mode), 1):
            expected[hit.id] = expected.get(hit.id, 0.0) + 1 / (60 + rank)
    order = sorted(expected, key=lambda name: (-expected[name], name))
    hits = numbered.search("owl number7", k=20, depth=depth, ranker=RRFRanker())
    assert [h.id for h in hits] == order[:20]
    assert [h.score for h in hits] == pytest.approx([expected[n] for n in order[:20]])


@pytest.mark.parametrize("depth", [0, -1, 2.5, "3", True, {"dense": 0}, {"dens": 5}, [1, 2]])
@pytest.mark.parametrize("mode", MODES)
def test_a_depth_that_is_none_is_an_error_in_every_mode(birds, embedding, mode, depth):
    with pytest.raises(ParamError, match="depth"):
        birds.search("owl", mode=mode, depth=depth)
    assert embedding.query_calls == 0

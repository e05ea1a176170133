"""phrase_match over a collection that changes, against its analysed texts."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from elanus import CollectionSchema, DataType, MilvusClient, build_analyzer
from elanus.text import Analyzer

WORDS = ["red", "kites", "kite", "the", "café", "cafe", "机器学习", "os.path", "owl"]
PHRASES = [
    "red kite",
    "the red kite",
    "CAFÉ owl",
    "kite kite",
    "机器 学",
    "器学习",
    "os path",
    "owl",
]
TOKENS = build_analyzer("multilingual").tokens


def holds(text, phrase, slop):
    """By every window; of two terms with slop 2, up to two others between, or swapped."""
    terms, wanted = TOKENS(text or ""), TOKENS(phrase)
    windows = [terms[at : at + len(wanted)] for at in range(len(terms))]
    if slop and len(wanted) == 2:
        windows += [terms[at : at + 1 + step : step] for at in range(len(terms)) for step in (2, 3)]
        windows += [[after, term] for term, after in pairwise(terms)]
    return bool(wanted) and wanted in windows


@pytest.fixture
def client(tmp_path):
    schema = CollectionSchema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field(
        "text", DataType.VARCHAR, max_length=500, nullable=True, enable_analyzer=True,
        enable_match=True, analyzer_params="multilingual",
    )  # fmt: skip
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    with MilvusClient(tmp_path / "f.db") as client:
        indexes = client.prepare_index_params("v", index_type="FLAT", metric_type="IP")
        client.create_collection("c", schema=schema, index_params=indexes)
        yield client
        assert client.verify() == []


def test_a_phrase_is_where_the_analyzer_puts_its_terms_side_by_side(client):
    rng, rows = random.Random(5), {}
    for turn in range(4):
        new = {
            rng.randrange(120): " ".join(rng.choices(WORDS, k=rng.randrange(12))) for _ in range(40)
        }
        new[200 + turn] = None
        client.upsert("c", [{"id": i, "text": t, "v": [i, 1]} for i, t in new.items()])
        rows |= new
        gone = rng.sample(sorted(rows), 15)
        client.delete("c", ids=gone)
        rows = {i: text for i, text in rows.items() if i not in gone}
        for phrase in PHRASES:
            for slop in (0, 2):
                if slop and len(TOKENS(phrase)) > 2:
                    continue
                expected = {i for i, text in rows.items() if holds(text, phrase, slop)}
                asked = {"filter_params": {"p": phrase, "s": slop}}
                found = client.query("c", "phrase_match(text, {p}, {s})", **asked)
                assert {row["id"] for row in found} == expected, (phrase, slop)
                (hits,) = client.search(
                    "c", [[1.0, 0.0]], filter="id > 50 and phrase_match(text, {p}, {s})", limit=100,
                    anns_field="v", **asked,
                )  # fmt: skip
                assert {hit["id"] for hit in hits} == {i for i in expected if i > 50}


@pytest.mark.parametrize(("word", "holds_so"), [("and", all), ("or", any)])
def test_several_phrases_hold_together_as_each_does_alone(client, word, holds_so):
    rng = random.Random(7)
    rows = {i: " ".join(rng.choices(WORDS, k=rng.randrange(30))) for i in range(150)}
    client.insert("c", [{"id": i, "text": t, "v": [i, 1]} for i, t in rows.items()])
    sizes = set()
    for _ in range(40):
        asked = rng.choices([*PHRASES, "zebra", "the zebra", "?!"], k=rng.randrange(1, 5))
        expected = {i for i, t in rows.items() if holds_so(holds(t, p, 0) for p in asked)}
        written = f" {word} ".join(f"phrase_match(text, '{phrase}')" for phrase in asked)
        for condition, among in (
            (written, expected),
            (f"not ({written})", rows.keys() - expected),
            (f"id < 60 and ({written})", {i for i in expected if i < 60}),
            (f"{written} {word} id < 60", {
                i for i in rows if holds_so([i in expected, i < 60])
            }),
        ):  # fmt: skip
            found = {row["id"] for row in client.query("c", condition)}
            assert found == among, condition
        sizes.add(len(expected))
    assert len(sizes) > 5


@pytest.mark.parametrize("word", ["and", "or"])
def test_each_text_is_analysed_once_for_all_phrases_and_only_where_it_is_open(
    client, word, monkeypatch
):
    texts = ["the red kite hovers", "red the kite hovers", "the red owl", "a kite is a kite"]
    client.insert("c", [{"id": i, "text": t, "v": [i, 1]} for i, t in enumerate(texts)])
    seen = []
    sequence = Analyzer._sequence

    def counted(self, texts):
        seen.extend(texts)
        return sequence(self, texts)

    monkeypatch.setattr(Analyzer, "_sequence", counted)
    phrases = ["red kite", "kite hovers", "the red", "kite"] * 50
    written = f" {word} ".join(f"phrase_match(text, '{phrase}', 0)" for phrase in phrases)
    found = {row["id"] for row in client.query("c", written)}
    assert found == ({0} if word == "and" else {0, 1, 2, 3})
    # Whatever holds the one word needs no look, if one phrase is enough.
    assert sorted(seen) == sorted(texts[:2] if word == "and" else texts[2:3])


@pytest.mark.parametrize("phrase", ["", "?!", "zebra", "red zebra"])
def test_what_no_text_holds_is_not_found(client, phrase):
    client.insert("c", [{"id": 1, "text": "the red kite", "v": [1, 0]}])
    found = client.query("c", "phrase_match(text, {p})", filter_params={"p": phrase})
    assert found == []

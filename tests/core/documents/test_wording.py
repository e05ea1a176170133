"""Phrases, beginnings and typing errors in a store's searches, against brute force."""

from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pytest

from elanus import DocumentStore, build_analyzer
from elanus.errors import ParamError

WORDS = [
    *("kite", "kites", "kitten", "receive", "receiving", "red", "the", "theory", "Straße", "café"),
    *("getUserName", "хищные", "хищник", "机器学习", "机器", "owl", "1999", "2000"),
]
ANALYZERS = ("multilingual", "english", "standard")
K1, B = 1.2, 0.75


def is_one_edit(one, other):
    """By the first place where they differ: the rest is equal without it, or after a swap."""
    if len(one) > len(other):
        one, other = other, one
    at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    a, b = one[at:], other[at:]
    if len(a) < len(b):
        return a == b[1:]
    return bool(a) and (a[1:] == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:]))


def asked_for(analyzer, query, vocabulary, prefix, typos):
    """The groups of terms that a query asks for, with how often."""
    tokens = analyzer.query_tokens(query)
    last, start = None, None
    if prefix:
        last = analyzer.tokens(query.split()[-1])[-1:] or [""]
        whole = build_analyzer({"tokenizer": "standard", "filter": ["wordparts", "lowercase"]})
        start = whole.tokens(query.split()[-1])[-1]
        tokens = tokens[:-1] if tokens[-1:] == last else tokens
    groups = [({token} & vocabulary, token, count) for token, count in Counter(tokens).items()]
    if start:
        groups.append(({t for t in vocabulary if t.startswith(start) or [t] == last}, *last, 1))
    for group, token, count in groups:
        long = sum(letter.isalpha() for letter in token) >= 4
        near = {t for t in vocabulary if is_one_edit(t, token) and t != token}
        yield (near if typos and long and not group else group), count


def scored(texts, groups):
    """BM25 of groups: the frequency of the union, the sum of the counts."""
    average = sum(map(len, texts.values())) / len(texts)
    scores = Counter()
    for group, count in groups:
        counts = {i: sum(t in group for t in terms) for i, terms in texts.items()}
        held = sum(c > 0 for c in counts.values())
        idf = math.log(1 + (len(texts) - held + 0.5) / (held + 0.5))
        for name, c in counts.items():
            if c:
                norm = K1 * (1 - B + B * len(texts[name]) / average)
                scores[name] += count * idf * c * (K1 + 1) / (c + norm)
    return scores


@pytest.mark.parametrize("name", ANALYZERS)
def test_beginnings_and_typing_errors_score_as_the_formula_says(open_store, name):
    rng, store = random.Random(7), open_store(analyzer=name)
    texts = {f"d{n:02}": " ".join(rng.choices(WORDS, k=rng.randrange(1, 9))) for n in range(60)}
    store.add(list(texts.values()), [{"n": n} for n in range(60)], list(texts))
    gone = rng.sample(sorted(texts), 15)
    store.delete(gone)
    analyzer = build_analyzer(name)
    terms = {i: analyzer.tokens(text) for i, text in texts.items() if i not in gone}
    vocabulary = set().union(*terms.values())
    queries = ["red kit", "the red th", "recieve kites", "kitee", "the", "rceeive owl", "1998 re"]
    queries += [
        "хищны",
        "хищнык кит",
        "机器学",
        "机",
        "getUser",
        "owls rde",
        "kitez kitez receivee",
    ]
    for query in queries:
        for prefix, typos in ((True, False), (False, True), (True, True)):
            groups = list(asked_for(analyzer, query, vocabulary, prefix, typos))
            expected = scored(terms, groups)
            hits = store.search(query, 60, "text", prefix=prefix, typos=typos)
            assert {hit.id: hit.score for hit in hits} == pytest.approx(expected, rel=1e-5)
            assert [hit.score for hit in hits] == sorted((h.score for h in hits), reverse=True)
            some = store.search(query, 60, "text", {"n": {"$lt": 30}}, prefix=prefix, typos=typos)
            assert [h.id for h in some] == [h.id for h in hits if h.metadata["n"] < 30]


def test_without_need_an_option_changes_nothing(birds):
    for query in ("dives", "owl mice", "kite", ""):
        plain = birds.search(query, mode="text", explain=True)
        assert birds.search(query, mode="text", explain=True, typos=True) == plain


# --- typing errors -----------------------------------------------------------------------------


@pytest.fixture
def store(open_store, embedding):
    store = open_store(embedding=embedding)
    texts = ["The red kite soars", "A kite is red", "Owls receive mice", "A recieved gift, an owl"]
    store.add(texts, [{"n": n} for n in range(4)], ["soars", "is", "owls", "gift"])
    return store


def ids(hits):
    return [hit.id for hit in hits]


def test_a_word_that_a_document_has_is_not_replaced(store):
    assert ids(store.search("recieve", mode="text", typos=True)) == ["gift"]
    store.delete("gift")
    assert ids(store.search("recieve", mode="text", typos=True)) == ["owls"]
    assert store.search("recieve", mode="text") == []


@pytest.mark.parametrize("query", ["owk", "rad", "kjtf", "sooorsx"])
def test_short_words_and_two_errors_find_nothing(store, query):
    assert store.search(query, mode="text", typos=True) == []


def test_what_was_added_since_is_found(store):
    assert store.search("pengiun", mode="text", typos=True) == []
    store.add(["A penguin"], ids=["penguin"])
    assert ids(store.search("pengiun", mode="text", typos=True)) == ["penguin"]
    assert ids(store.search("pengu", mode="text", prefix=True)) == ["penguin"]


def test_a_found_word_is_as_relevant_as_if_it_were_written_rightly(store):
    (right,) = store.search("soars", mode="text")
    (wrong,) = store.search("saors", mode="text", typos=True, explain=True)
    assert (wrong.id, wrong.score) == ("soars", right.score)
    assert wrong.relevance == pytest.approx(right.relevance)
    (leg,) = wrong.explanation
    assert (leg.leg, leg.rank, leg.score) == ("text", 1, right.score)


def test_a_rare_misspelling_does_not_outweigh_the_word(open_store):
    store = open_store()
    store.add([*(f"the kites number {n}" for n in range(50)), "the kitec number 50"])
    hits = store.search("kitek", 60, "text", typos=True)
    assert len(hits) == 51
    assert len({hit.score for hit in hits}) == 1


def test_hybrid_mode_fuses_what_the_words_find(store):
    hits = store.search("saors", typos=True, explain=True)
    assert hits[0].id == "soars"
    right = store.search("soars", explain=True)[0]
    both = [next(leg for leg in h.explanation if leg.leg == "text") for h in (hits[0], right)]
    assert both[0] == both[1]
    assert both[0].contribution > 0


# --- phrases -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('"red kite"', ["soars"]),
        ("“RED kites” owl", ["soars"]),
        ('«red kite» or "kite is"', []),
        ('"kite is" soars', ["is"]),
        ('"red kite', ["is", "soars"]),
        ('red" kite', ["is", "soars"]),
        ('"" red "?!"', ["is", "soars"]),
        ('"a"', ["is", "gift"]),
        ('"zebra" red', []),
    ],
)
def test_what_stands_between_quotes_has_to_stand_in_the_text(store, query, found):
    for mode in ("text", "hybrid"):
        hits = store.search(query, mode=mode, phrases=True)
        if found != ["is", "soars"] or mode == "text":
            assert sorted(ids(hits)) == sorted(found)
    assert len(store.search(query)) == 4  # unasked, quotes mean nothing


def test_words_of_a_phrase_count_as_words(store):
    plain = {hit.id: hit.score for hit in store.search("the red kite owl", mode="text")}
    (hit,) = store.search('the "red kite" owl', mode="text", phrases=True)
    assert hit.score == plain["soars"]


def test_phrases_go_with_filters_and_ids(store):
    assert store.search('"red kite"', mode="text", filter="n > 0", phrases=True) == []
    assert ids(store.search('"red kite"', filter={"n": 0}, phrases=True)) == ["soars"]
    assert store.search('"red kite"', ids=["is"], phrases=True) == []
    assert ids(store.search_mmr('"red kite"', phrases=True)) == ["soars"]


def test_the_model_sees_no_quotes(open_store, make_embedding):
    asked = []

    class Noting(make_embedding):
        def encode_queries(self, texts):
            asked.extend(texts)
            return super().encode_queries(texts)

    store = open_store(embedding=Noting())
    store.add(["The red kite soars"])
    store.search('where is "red kite"', phrases=True)
    assert [text.split() for text in asked] == [["where", "is", "red", "kite"]]


# --- arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["phrases", "prefix", "typos"])
def test_an_option_is_true_or_false_and_for_words(store, name):
    for call in (store.search, store.search_mmr, store.check_search):
        with pytest.raises(ParamError, match=f"{name} must be True or False, got 'yes'"):
            call("kite", **{name: "yes"})
        with pytest.raises(ParamError, match=f"{name}=True is for the modes text and hybrid"):
            call("kite", mode="dense", **{name: True})


def test_the_client_takes_them_as_search_parameters(store):
    def found(**params):
        (hits,) = store.client.search(
            "documents", ["saors"], anns_field="terms", search_params={"params": params}
        )
        return [hit["id"] for hit in hits]

    assert found() == []
    assert found(typos=True) == ["soars"]
    assert found(prefix=True, typos=False) == []
    with pytest.raises(ParamError, match="search parameter typos must be True or False, got 1"):
        found(typos=1)
    vector = np.zeros((1, store.dim))
    with pytest.raises(ParamError, match="field 'vector': the search parameters prefix and typos"):
        store.client.search(
            "documents", vector, anns_field="vector", search_params={"prefix": True}
        )


async def test_the_coroutine_takes_them_too(store):
    assert ids(await store.asearch("saors", mode="text", typos=True)) == ["soars"]


def test_options_survive_another_opening(tmp_path):
    with DocumentStore(tmp_path / "s.db") as store:
        store.add(["The red kite soars"], ids=["a"])
    with DocumentStore(tmp_path / "s.db", read_only=True) as store:
        assert ids(store.search('"red kite" sorrs', mode="text", typos=True, phrases=True)) == ["a"]

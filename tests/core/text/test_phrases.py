"""Phrases against a search of all choices of places."""

from __future__ import annotations

import sys
import time
from itertools import product
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus import build_analyzer
from elanus.errors import ParamError
from elanus.text import _phrases
from elanus.text._phrases import holding

ANALYZERS = ("multilingual", "english", "standard", "whitespace")
PIECES = st.lists(
    st.sampled_from(
        ["kite", "kites", "the", "of", "red", "café", "机器学习", "学", "getUserName", "os.path"]
    ),
    min_size=1,
    max_size=9,
)


def stands(text, phrase, slop):
    """Whether the terms have places of their own whose shifts differ by ``slop`` at most."""
    places = [[at for at, term in enumerate(text) if term == wanted] for wanted in phrase]
    for chosen in product(*places):
        shifts = [place - at for at, place in enumerate(chosen)]
        if len(set(chosen)) == len(chosen) and max(shifts) - min(shifts) <= slop:
            return True
    return False


@settings(max_examples=150, deadline=None)
@given(
    texts=st.lists(st.lists(st.integers(0, 2), max_size=6), min_size=1, max_size=4),
    phrase=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    slop=st.sampled_from([0, 0, 1, 2, 3, 9, 10**30]),
    few=st.sampled_from([0, 64]),
    data=st.data(),
)
def test_a_phrase_is_where_its_terms_have_places_of_their_own(texts, phrase, slop, few, data):
    order = data.draw(st.permutations(range(len(texts))))
    rows = np.array([row for row in order for _ in texts[row]], dtype=np.int64)
    terms = np.array([term for row in order for term in texts[row]], dtype=np.int64)
    with mock.patch.object(_phrases, "_FEW", few):
        found = holding(rows, terms, phrase, slop, len(texts))
    assert found.tolist() == [stands(text, phrase, slop) for text in texts]


@pytest.mark.parametrize("slop", [1, 2, 5])
@pytest.mark.parametrize("phrase", [[1, 0, 0, 1], [0, 1, 1, 1, 0], [2, 0, 0, 2], [0] * 4])
def test_a_phrase_may_begin_where_its_end_would_be_behind_all_texts(phrase, slop):
    texts = [list(text) for text in product(range(3), repeat=5)]
    rows = np.repeat(np.arange(len(texts)), 5)
    found = holding(rows, np.concatenate(texts), phrase, slop, len(texts))
    assert found.tolist() == [stands(text, phrase, slop) for text in texts]


@settings(max_examples=100, deadline=None)
@given(
    texts=st.lists(st.lists(st.integers(0, 1), max_size=40), min_size=1, max_size=5),
    row=st.integers(0, 4),
    start=st.integers(0, 30),
    size=st.integers(1, 40),
    few=st.sampled_from([0, 64]),
)
def test_a_long_phrase_without_slop_is_a_stretch_of_the_text(texts, row, start, size, few):
    phrase = texts[row % len(texts)][start:][:size] or [0, 1] * 9
    rows = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    terms = np.array([term for text in texts for term in text], dtype=np.int64)
    with mock.patch.object(_phrases, "_FEW", few):
        found = holding(rows, terms, phrase, 0, len(texts))
    stretches = [[t[at:][: len(phrase)] for at in range(len(t))] for t in texts]
    assert found.tolist() == [phrase in each for each in stretches]


@pytest.mark.parametrize("slop", [3, 1_000, 100_000])
def test_work_with_slop_grows_with_the_words_of_a_phrase_and_not_with_their_square(slop):
    terms, looked_up = np.tile([0, 1], 5_000), []
    search = np.searchsorted

    def counted(places, wanted, **options):
        looked_up.append(np.size(wanted))
        return search(places, wanted, **options)

    phrase = [0, 1] * 40
    with mock.patch.object(np, "searchsorted", counted):
        found = holding(np.zeros(10_000, dtype=np.int64), terms, phrase, slop, 1)
    assert found.tolist() == [True]
    assert sum(looked_up) < 2 * len(phrase) * len(terms)


@pytest.mark.parametrize("slop", [0, 5])
def test_a_long_phrase_takes_no_step_for_each_of_its_words(slop):
    """Repeated without slop, and each word once with it."""
    terms = np.arange(20_000) if slop else np.zeros(20_000, dtype=np.int64)
    steps = []
    sys.setprofile(lambda _, event, __: steps.append(event))
    try:
        found = holding(np.zeros(20_000, dtype=np.int64), terms, terms[5_000:15_000], slop, 1)
    finally:
        sys.setprofile(None)
    assert found.tolist() == [True]
    assert len(steps) < 2_000


@pytest.mark.parametrize("name", ANALYZERS)
@settings(max_examples=25, deadline=None)
@given(texts=st.lists(PIECES, min_size=1, max_size=5), phrase=PIECES, slop=st.integers(0, 2))
def test_terms_are_those_of_the_analyzer_in_order(name, texts, phrase, slop):
    analyzer = build_analyzer(name)
    written = [" ".join(pieces) for pieces in texts]
    terms = analyzer.tokens(" ".join(phrase[:3])) or ["kite"]
    expected = [stands(analyzer.tokens(text), terms, slop) for text in written]
    assert analyzer.holding(written, [(terms, slop)]).tolist() == [expected]


@pytest.mark.parametrize("name", ANALYZERS)
@settings(max_examples=25, deadline=None)
@given(pieces=PIECES, first=st.integers(0, 8), length=st.integers(1, 9))
def test_whatever_is_copied_from_a_text_is_found_in_it(name, pieces, first, length):
    analyzer = build_analyzer(name)
    copied = analyzer.tokens(" ".join(pieces[first : first + length]))
    if copied:
        assert analyzer.holding([" ".join(pieces)], [(copied, 0)]).tolist() == [[True]]


def test_many_ascii_texts_are_cut_by_the_fast_way_with_the_same_result():
    analyzer = build_analyzer("multilingual")
    texts = [f"The red kite, {n} times; it hovers." for n in range(2_000)]
    texts[7] = "A kite (red) over cafés"
    phrase = analyzer.tokens("kite 1999 times it")
    assert np.flatnonzero(analyzer.holding(texts, [(phrase, 0)])[0]).tolist() == [1999]


def test_many_phrases_are_looked_for_in_one_analysis():
    analyzer = build_analyzer("multilingual")
    words = [f"w{number % 900}" for number in range(20_000)]
    phrases = [" ".join(words[at : at + 3]) for at in range(400)]
    text = " ".join(words)
    begun = time.process_time()
    held = analyzer.holding([text, "w1"], [(analyzer.tokens(phrase), 0) for phrase in phrases])
    assert held.tolist() == [[True, False]] * 400
    marked = [text[span.start : span.end] for span in analyzer.spans(text, (), phrases)]
    # In each turn of 900, as phrases that overlap are one mark; the last turn has 200.
    assert marked == [" ".join(words[:402])] * 22 + [" ".join(words[:200])]
    assert time.process_time() - begun < 2


def test_texts_have_to_be_texts():
    analyzer = build_analyzer(None)
    with pytest.raises(ParamError, match=r"texts\[1\] must be a string"):
        analyzer.holding(["a", 5], [(["a"], 0)])


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("哈" * 20_000, ["哈", "哈哈"]),
        ("red " * 19_999 + "red", ["red " * n for n in range(1, 101)]),
    ],
)
def test_what_overlaps_everywhere_is_one_span(text, phrases):
    """Each place looked at for itself would take hours."""
    (span,) = build_analyzer("standard").spans(text, (), phrases)
    assert (span.start, span.end) == (0, len(text))

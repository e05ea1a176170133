"""Unicode's normal forms: as Python's, also where thousands of marks follow each other."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus import DocumentStore
from elanus.normal import normalized

# Marks of several classes, letters that are composed, compositions of compatibility, and exclusions.
CHARACTERS = "aeÅéṩẛﬁ한ᄀ\u1161\u11a8か\u3099क़" + "".join(map(chr, range(0x300, 0x370)))
FORMS = ["NFC", "NFD", "NFKC"]


@given(st.lists(st.sampled_from(CHARACTERS), max_size=200).map("".join), st.sampled_from(FORMS))
def test_texts_are_as_python_makes_them(text, form):
    for given_text in (text, text + "\u0301\u0316" * 40 + text):
        assert normalized(form, given_text) == unicodedata.normalize(form, given_text)


@pytest.mark.parametrize("form", FORMS)
def test_a_letter_with_half_a_million_marks_takes_no_longer_than_reading_them(form):
    text = "a" + "\u0301\u0316" * 250_000
    in_order = "a" + "\u0316" * 250_000 + "\u0301" * 250_000
    assert normalized(form, text) == unicodedata.normalize(form, in_order)


def test_a_store_takes_such_texts_and_questions():
    text = "a" + "\u0301\u0316" * 100_000
    with DocumentStore(":memory:") as store:
        store.add([text, "kite"], ids=["marks", "kite"])
        assert [hit.id for hit in store.search(text, mode="text")] == ["marks"]

"""Neighbours in spelling, against all edits written out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.text import Spellings

LETTERS = "abé\U0001f600\0"
TERMS = st.lists(st.text(LETTERS, max_size=5), unique=True, max_size=40)


def edits(term, alphabet=LETTERS):
    """All that one edit makes of a term."""
    cuts = [(term[:at], term[at:]) for at in range(len(term) + 1)]
    made = {a + b[1:] for a, b in cuts if b}
    made |= {a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1}
    made |= {a + letter + b[1:] for a, b in cuts if b for letter in alphabet}
    made |= {a + letter + b for a, b in cuts for letter in alphabet}
    return made - {term}


@settings(max_examples=200, deadline=None)
@given(TERMS, st.text(LETTERS, min_size=1, max_size=5), st.integers(0, 40))
def test_neighbours_and_beginnings_are_those_that_are_written_out(terms, asked, cut):
    spellings = Spellings().extended(terms[:cut]).extended(terms[cut:])
    assert spellings.size == len(terms)
    near = [number for number, term in enumerate(terms) if term and term in edits(asked)]
    assert spellings.near(asked).tolist() == near
    longer = [number for number, term in enumerate(terms) if term.startswith(asked)]
    assert spellings.beginning_with(asked).tolist() == longer


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("recieve", ["receive"]),
        ("kits", ["kite", "kit", "skits"]),
        ("kite", ["kit"]),
        ("owls", ["owl's"]),
        ("twols", []),
    ],
)
def test_an_edit_adds_drops_changes_or_swaps(asked, found):
    terms = ["receive", "kite", "kit", "skits", "owl's", "relieved"]
    assert [terms[number] for number in Spellings().extended(terms).near(asked)] == found


def test_an_older_value_stays_as_it_was():
    first = Spellings().extended(["kite", "owl"])
    first.extended(["kites", "kit"])
    assert first.beginning_with("k").tolist() == [0]

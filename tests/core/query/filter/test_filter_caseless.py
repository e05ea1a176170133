"""`icontains` and its kin compare as canonical caseless matching does (Unicode, D145)."""

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.query import bind, evaluate, filter_from_dict, parse_filter

FORMS = ("NFC", "NFD")
# Letters with and without a composed form, marks in any order, and what folds to several: ß, İ,
# the ligature, iota below (whose fold is a letter), final sigma, Kelvin, Hangul.
letters = st.sampled_from(
    list("aeAE1 😀éÉâßẞİıﬁϊᾳᾼσςΣKkÅ한ㄱ\u1100\u1161\0") + list("\u0301\u0323\u0302\u0345\u0307")
)
texts = st.text(st.one_of(letters, letters, st.characters(exclude_categories=["Cs"])), max_size=8)


def folded(text):
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())


def found(source, wanted):
    one = evaluate(filter_from_dict({"k": {"$isubstring": wanted}}, "j"), source).tolist()
    two = evaluate(bind(parse_filter("icontains(s, {w})"), {"w": wanted}), source).tolist()
    assert one == two
    return one


def make_source(make_rows, values):
    return make_rows([{"s": value, "j": {"k": value}} for value in values])


@settings(max_examples=1000, deadline=None)
@given(st.lists(texts, max_size=5), texts, st.sampled_from(FORMS))
def test_a_text_is_found_as_the_standard_says(make_rows, values, wanted, form):
    source = make_source(make_rows, [unicodedata.normalize(form, each) for each in values])
    expected = [folded(wanted) in folded(each) for each in values]
    for spelling in (wanted, *(unicodedata.normalize(each, wanted) for each in FORMS)):
        assert found(source, spelling) == expected


@pytest.mark.parametrize("stored", FORMS)
@pytest.mark.parametrize("typed", FORMS)
@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Müller – Übersicht.PDF", "übersicht.pdf"),
        ("résumé.txt", "RÉSUMÉ"),
        ("Ångström", "ångström"),
        ("STRASSE", "straße"),
        ("한국어 파일.txt", "파일"),
        ("Ελληνικός ᾼδης", "ᾳΔΗΣ"),
        ("ệ ộ", "Ệ"),
        ("273 K", "273 \u212a"),
    ],
)
def test_composed_and_decomposed_names_find_each_other(make_rows, stored, typed, name, part):
    source = make_source(make_rows, [unicodedata.normalize(stored, name), "nothing of it"])
    assert found(source, unicodedata.normalize(typed, part)) == [True, False]


def test_marks_in_another_order_are_the_same_text(make_rows):
    source = make_source(make_rows, ["a\u0301\u0323", "a\u0323\u0301", "ạ\u0301", "á\u0323"])
    for wanted in ("a\u0301\u0323", "A\u0323\u0301", "Ạ\u0301", "Á\u0323"):
        assert found(source, wanted) == [True] * 4


def test_other_operators_go_by_code_points(make_rows):
    composed, decomposed = "é", "e\u0301"
    source = make_source(make_rows, [composed, decomposed])
    for text in ("s == {w}", "s in [{w}]", "s like {w}", "s =~ {w}", 'j["k"] like {w}'):
        for wanted in (composed, decomposed):
            mask = evaluate(bind(parse_filter(text), {"w": wanted}), source)
            assert mask.tolist() == [wanted == composed, wanted == decomposed]
    assert evaluate(filter_from_dict({"k": {"$substring": composed}}, "j"), source).tolist() == [
        True,
        False,
    ]


@pytest.mark.parametrize("run", [63, 64, 65, 32_000])
def test_thousands_of_marks_at_one_letter_are_ordered_in_no_time(make_rows, run):
    values = [f"{number}a" + "\u0301\u0323" * run for number in range(10)]
    source = make_source(make_rows, values)
    start = time.perf_counter()
    assert found(source, "A" + "\u0323" * run + "\u0301" * run) == [True] * 10
    # Sorted by insertion, as unicodedata does, the longest take more than a minute.
    assert time.perf_counter() - start < 15

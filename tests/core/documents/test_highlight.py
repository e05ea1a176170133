"""Highlights: the marks stand in the original text, and on what a search would find."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus import DocumentStore, Fragment, RankedDocument, build_analyzer
from elanus.documents._highlight import _choose, fragments
from elanus.errors import ParamError
from elanus.text import Span

ANALYZERS = {
    name: build_analyzer(name) for name in ("english", "standard", "whitespace", "chinese")
}


def marked(text, query, analyzer="english"):
    """The text with brackets around what is marked."""
    found, at = "", 0
    terms = ANALYZERS[analyzer].tokens(query)
    for start, end, _ in ANALYZERS[analyzer].spans(text, terms):
        found, at = f"{found}{text[at:start]}[{text[start:end]}]", end
    return found + text[at:]


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("Kites hover; a hovering kite.", "hovers", "Kites [hover]; a [hovering] kite."),
        ("Kites hover; a hovering kite.", "the kites", "[Kites] hover; a hovering [kite]."),
        ("call getUserName() now", "user", "call [getUserName]() now"),
        ("Einstein’s field", "einstein", "[Einstein’s] field"),
        ("C++ and C#, not C", "c#", "C++ and [C#], not C"),
        ("ＦＵＬＬ ｗｉｄｔｈ", "full", "[ＦＵＬＬ] ｗｉｄｔｈ"),
        ("cafe\u0301 ole\u0301", "café", "[cafe\u0301] ole\u0301"),
        ("1,000 and 1.000", "1,000", "[1,000] and 1.000"),
        ("the Kite-the owl", "kite", "the [Kite]-the owl"),
        ("🦅 over 🦅🦆", "🦅", "[🦅] over [🦅]🦆"),
        ("今天学习机器学习。天气好", "机器", "今天学习[机器]学习。天气好"),
        ("机会和武器", "机器", "[机]会和武[器]"),
        ("用Python3学习", "python3", "用[Python3]学习"),
        ("用Python3学习", "学习", "用Python3[学习]"),
        ("日本語のテキスト", "テキスト", "日本語の[テキスト]"),
        ("ﾃｷｽﾄ half", "テキスト", "[ﾃｷｽﾄ] half"),
        ("", "a", ""),
        ("nothing here", "else", "nothing here"),
        ("nothing here", "", "nothing here"),
    ],
)
def test_marks_stand_on_what_the_query_finds(text, query, expected):
    assert marked(text, query) == expected


def test_the_analyzer_decides():
    assert marked("Kites hover", "kite", "standard") == "Kites hover"
    assert marked("Kites hover", "Kites", "whitespace") == "[Kites] hover"
    assert marked("我来到北京清华大学", "清华大学", "chinese") == "我来到北京[清华大学]"


words = st.text(st.sampled_from("aA9._'’,+#- \n机器学ガｱ🦅é\u0301\u200dßﬁ½"), max_size=25)


@given(text=words | st.text(max_size=30), query=words, name=st.sampled_from(sorted(ANALYZERS)))
def test_marks_are_in_order_apart_and_there_if_and_only_if_a_term_is(text, query, name):
    analyzer = ANALYZERS[name]
    spans = analyzer.spans(text, analyzer.tokens(query))
    common = set(analyzer.tokens(text)) & set(analyzer.tokens(query))
    assert frozenset().union(*(s.terms for s in spans)) <= common
    assert bool(spans) == bool(common)
    edges = [edge for s in spans for edge in (s.start, s.end)]
    assert edges == sorted(edges)
    assert all(0 <= s.start < s.end <= len(text) for s in spans)


@given(
    text=st.lists(st.sampled_from(["kite", "owl", "red", "x" * 30, "a b c d", "\n"]), max_size=60),
    query=st.sampled_from(["kite", "kite owl", "red kites", "none"]),
    length=st.integers(1, 120),
    most=st.integers(1, 4),
)
def test_parts_are_parts_of_the_text(text, query, length, most):
    whole = " ".join(text)
    with DocumentStore(":memory:") as store:
        parts = store.highlight(whole, query, length, most)
    analyzer = ANALYZERS["english"]
    spans = [(s.start, s.end) for s in analyzer.spans(whole, analyzer.tokens(query))]
    assert len(parts) <= most
    assert bool(parts) == bool(spans)
    at = 0
    for part in parts:
        assert part.text == whole[part.start : part.end]
        assert part.marks
        assert set(part.marks) == {s for s in spans if part.start <= s[0] and s[1] <= part.end}
        assert part.start >= at
        at = part.end
        widest = max(end - start for start, end in part.marks)
        assert len(part.text) <= max(length, widest)


@pytest.fixture
def store(open_store):
    return open_store()


LONG = (
    "Buzzards circle. " * 20 + "The red kite soars over open hills. " + "Geese fly by. " * 20
    + "A kite eats mice. " + "Ducks swim. " * 20
)  # fmt: skip


def test_the_parts_are_those_that_hold_most(store):
    (best,) = store.highlight(LONG, "red kites", length=60, most=1)
    assert "red kite soars" in best.text
    assert [LONG[a:b] for a, b in best.marks] == ["red", "kite"]
    first, second = store.highlight(LONG, "red kites", length=60)
    assert first == best
    assert "A kite eats mice." in second.text
    assert not first.text[0].isspace()
    assert first.text.split()[0] in LONG.split()


def test_a_short_text_is_one_part(store):
    assert store.highlight("A red kite.", "kite") == [Fragment("A red kite.", 0, 11, ((6, 10),))]


def test_a_hit_is_as_good_as_its_text(store):
    store.add(["The red kite soars."])
    [hit] = store.search("kite", mode="text")
    assert isinstance(hit, RankedDocument)
    assert store.highlight(hit, "kite") == store.highlight(hit.text, "kite")
    assert store.highlight(store.peek()[0], "kite") == store.highlight(hit, "kite")


def test_marks_are_put_around_and_html_is_escaped(store):
    [part] = store.highlight("kite & <b>owl</b> & kite", "kites owls")
    assert part.marked() == "**kite** & <b>**owl**</b> & **kite**"
    assert part.marked("[", "]") == "[kite] & <b>[owl]</b> & [kite]"
    assert part.html() == (
        "<mark>kite</mark> &amp; &lt;b&gt;<mark>owl</mark>&lt;/b&gt; &amp; <mark>kite</mark>"
    )
    assert part._repr_html_() == f"<p>{part.html()}</p>"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"found": 5}, r"found must be a document or a text, got 5 \(int\)"),
        ({"query": None}, "query must be a string"),
        ({"length": 0}, "length must be an integer of at least 1"),
        ({"most": 0}, "most must be an integer of at least 1"),
    ],
)
def test_wrong_arguments_are_refused(store, arguments, says):
    with pytest.raises(ParamError, match=says):
        store.highlight(**{"found": "kite", "query": "kite", **arguments})


def richest(spans, length, most):
    """The chosen runs, each counted anew: what ``_choose`` does without counting anew."""
    runs = []
    for first, span in enumerate(spans):
        fits = [i for i in range(first, len(spans)) if spans[i].end <= span.start + length]
        last = max([first, *fits]) + 1
        terms = set().union(*(s.terms for s in spans[first:last]))
        runs.append((-len(terms), first - last, first, last))
    chosen = []
    for *_, first, last in sorted(runs):
        if len(chosen) < most and all(last <= a or first >= b for a, b in chosen):
            chosen.append((first, last))
    return sorted(chosen)


gaps = st.tuples(st.integers(0, 9), st.integers(1, 9), st.frozensets(st.sampled_from("abc")))


@given(st.lists(gaps, max_size=30), st.integers(1, 60), st.integers(1, 9))
def test_the_runs_are_those_with_most_terms(given, length, most):
    spans, at = [], 0
    for gap, size, terms in given:
        spans.append(Span(at + gap, at + gap + size, terms))
        at += gap + size
    assert _choose(spans, [s.end for s in spans], length, most) == richest(spans, length, most)


def test_a_long_part_takes_no_longer_for_each_word():
    spans = [Span(5 * i, 5 * i + 4, frozenset({"kite"})) for i in range(30_000)]
    begun = time.process_time()
    [part] = fragments("kite " * 30_000, spans, 10**6, 3)
    # A tenth of a second; ten and more if each word's run is gone through anew.
    assert time.process_time() - begun < 2
    assert len(part.marks) == 30_000

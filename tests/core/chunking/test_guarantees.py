"""What holds for every chunk of every source: sizes, offsets, order, and that nothing is lost."""

from __future__ import annotations

import itertools

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.chunking import chunk

PIECES = [
    *("a", "b ", "word ", "\n", "\n\n", ". ", "é", "e\u0301", "\N{FAMILY}\u200d\N{BOY}", "你好", "。"),
    *("🇩🇪", "x" * 30, " ", "\t", "- item\n", "1. item\n", "```\ncode\n```\n", "\r\n", "\r", "> q\n"),
    *("\u2028", "\x0c", "[a]: b\n", "| a | b |\n|---|---|\n| c | d |\n", "    indented\n", "---\n"),
    *("def f():\n", "    return 1\n", "class A:\n", "}\n", "'''", "ส", "\u3000", "\0", "\ufeff"),
]  # fmt: skip
HEADINGS = ["# one\n", "\n## two words\n", "\n# " + "long " * 20 + "\n", "\n### \n", "four\n===\n"]
COUNTS = {
    "characters": len,
    "words": lambda text: len(text.split()),
    "bytes": lambda text: len(text.encode()),
    # Adds up to more than the whole, as tokens that hold several words do.
    "odd": lambda text: -(-len(text) // 3),
}

texts = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
documents = st.lists(st.sampled_from(PIECES + HEADINGS), max_size=40).map("".join)
kinds = st.sampled_from(["text", "markdown", "python", "code"])


@st.composite
def limits(draw):
    size = draw(st.integers(1, 60))
    name = draw(st.sampled_from(list(COUNTS)))
    count = name if name in ("characters", "words") else COUNTS[name]
    return {"size": size, "overlap": draw(st.integers(0, size // 2)), "count": count}, COUNTS[name]


@settings(max_examples=60)
@given(documents, kinds, limits())
def test_no_chunk_is_longer_than_the_size_but_a_single_character(source, kind, limit):
    arguments, count = limit
    for found in chunk(source, kind, **arguments):
        assert count(found.text) <= arguments["size"] or len(found.text) == 1


@settings(max_examples=60)
@given(documents, kinds, limits())
def test_bodies_are_stretches_of_the_source_in_order(source, kind, limit):
    found = chunk(source, kind, **limit[0])
    assert [source[each.start : each.end] for each in found] == [each.body for each in found]
    assert all(each.body.strip() for each in found)
    for before, after in itertools.pairwise(found):
        assert before.start < after.start
        assert before.end < after.end
    if not limit[0]["overlap"]:
        assert all(a.end <= b.start for a, b in itertools.pairwise(found))


@settings(max_examples=60)
@given(documents, kinds, limits())
def test_the_text_is_the_headings_and_the_body(source, kind, limit):
    for found in chunk(source, kind, **limit[0]):
        assert found.metadata == {"headings": list(found.headings)}
        rows = [" > ".join(found.headings[i:]) + "\n\n" for i in range(len(found.headings))]
        assert found.text in [row + found.body for row in [*rows, ""]]


def uncovered(source, found):
    covered = set(itertools.chain.from_iterable(range(each.start, each.end) for each in found))
    return [i for i, letter in enumerate(source) if not letter.isspace() and i not in covered]


@settings(max_examples=60)
@given(documents, kinds.filter(lambda kind: kind != "markdown"), limits())
def test_nothing_but_white_space_is_lost(source, kind, limit):
    assert uncovered(source, chunk(source, kind, **limit[0])) == []


@settings(max_examples=60)
@given(documents, limits())
def test_nothing_of_markdown_but_headings_is_lost(source, limit):
    found = chunk(source, "markdown", **limit[0])
    left = "".join(source[i] for i in uncovered(source, found))
    said = "".join("".join(each.headings) for each in found)
    said = "".join(said.split())
    # Marks of headings, and of what is in them (a reference, a quotation's) are not read.
    assert set(left) - set(said) <= set("#=-\0`>|[]:")
    assert uncovered(source, []) == [] or found


@settings(max_examples=60)
@given(texts, kinds, st.integers(12, 60))
def test_graphemes_are_not_split(source, kind, size):
    borders = {0, len(source), *(found.start() for found in regex.finditer(r"\X", source))}
    for found in chunk(source, kind, size=size, overlap=size // 3):
        assert found.start in borders
        assert found.end in borders


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(["a", "\ud83d\ude00", "\ud83d", "\ude00", " "]), max_size=30), kinds
)
def test_pairs_of_surrogates_are_not_split(pieces, kind):
    source = "".join(pieces)
    found = chunk(source, kind, size=3)
    assert uncovered(source, found) == []
    for each in found:
        assert source[each.start : each.end] == each.body
        assert source[each.end - 1 : each.end + 1] != "\ud83d\ude00"


@pytest.mark.parametrize("kind", ["text", "markdown", "python", "code", "html"])
def test_what_says_nothing_has_no_chunks(kind):
    assert chunk("", kind) == []
    assert chunk(" \n\t\r\n\u3000", kind) == []


@pytest.mark.parametrize("source", ["ab " * 40_000, "ab\n" * 40_000, "x" * 120_000])
def test_the_work_grows_with_the_text_and_not_with_its_square(source):
    counted = 0

    def count(text):
        nonlocal counted
        counted += len(text)
        return len(text)

    chunk(source, "text", size=100, count=count)
    assert counted < 100 * len(source)


@pytest.mark.parametrize(
    "source",
    [
        "ภาษาไทยเป็นภาษาที่มีน้ำเสียงและคำมากมายทำให้ผู้เรียนต้องจำวรรณยุกต์กำลังทำงานน้ำตกดำน้ำ",
        "ພາສາລາວເປັນພາສາທີ່ມີຄຳສັບຫຼາຍນ້ຳຕົກດຳນ້ຳທຳງານກຳລັງ",
        "ភាសាខ្មែរជាភាសាផ្លូវការរបស់ប្រទេសកម្ពុជានិងមានប្រវត្តិយូរលង់",
        "မြန်မာဘာသာစကားသည်မြန်မာနိုင်ငံ၏ရုံးသုံးဘာသာစကားဖြစ်သည်",
    ],
    ids=["Thai", "Lao", "Khmer", "Burmese"],
)
def test_graphemes_of_scripts_without_spaces_are_not_split(source):
    borders = {0, len(source), *(found.start() for found in regex.finditer(r"\X", source))}
    for size in range(5, 40):
        found = chunk(source, "text", size=size, overlap=size // 3)
        assert uncovered(source, found) == []
        assert {place for each in found for place in (each.start, each.end)} <= borders


# By words, which line ends do not change.
LINES = [piece for piece in PIECES + HEADINGS if "\r" not in piece]


@settings(max_examples=100)
@given(
    st.lists(st.sampled_from(LINES), max_size=40).map("".join),
    st.sampled_from(["text", "markdown", "python", "code", "html"]),
    st.integers(1, 30),
    st.sampled_from(["\r\n", "\r"]),
    st.data(),
)
def test_cuts_do_not_depend_on_what_ends_lines(source, kind, size, line_end, data):
    limit = {"size": size, "overlap": data.draw(st.integers(0, size // 2)), "count": "words"}
    expected = [(each.text, each.headings) for each in chunk(source, kind, **limit)]
    found = chunk(source.replace("\n", line_end), kind, **limit)
    assert [(each.text.replace(line_end, "\n"), each.headings) for each in found] == expected


def test_headings_leave_room_for_a_long_word():
    found = chunk("# four\n" + "x" * 30, "markdown", size=12)
    assert [each.text for each in found] == ["four\n\n" + "x" * 6] * 5


def test_a_character_that_is_too_long_with_its_headings_stands_alone():
    found = chunk("# a\n😀😀", "markdown", size=6, count=COUNTS["bytes"])
    assert [each.text for each in found] == ["😀", "😀"]
    assert {each.headings for each in found} == {("a",)}


# --- overlap -----------------------------------------------------------------------------------


def test_overlaps_begin_with_words_and_are_as_long_as_is_asked():
    words = [f"w{i:03}" for i in range(100)]
    found = chunk(" ".join(words), "text", size=10, overlap=3, count="words")
    assert [each.body.split() for each in found[:3]] == [words[:7], words[4:14], words[11:21]]
    assert found[-1].body.split()[-1] == "w099"


def test_overlaps_of_chinese_begin_with_a_character():
    source = "".join(chr(0x4E00 + i) for i in range(60))
    found = chunk(source, "text", size=20, overlap=5)
    assert [(each.start, each.end) for each in found] == [(0, 15), (10, 30), (25, 45), (40, 60)]


def test_chunks_below_other_headings_do_not_overlap():
    found = chunk("# a\n\none two three\n\n# b\n\nfour five six", "markdown", 40, overlap=20)
    assert [each.body for each in found] == ["one two three", "four five six"]

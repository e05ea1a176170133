"""Where each kind of source is split, and which headings its chunks stand below."""

from __future__ import annotations

import ast
import inspect
import itertools
import random
import textwrap
import time
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.chunking import chunk_code, chunk_html, chunk_markdown, chunk_text


def bodies(found):
    return [each.body for each in found]


# --- plain text --------------------------------------------------------------------------------


def test_text_is_split_between_paragraphs_then_sentences_then_words():
    source = "One two.\n\nThree four. Five six.\n\nSeven eight nine ten eleven."
    assert bodies(chunk_text(source, size=35)) == [
        "One two.\n\nThree four. Five six.",
        "Seven eight nine ten eleven.",
    ]
    assert bodies(chunk_text(source, size=13)) == [
        "One two.", "Three four.", "Five six.", "Seven eight", "nine ten", "eleven.",
    ]  # fmt: skip


# --- Markdown ----------------------------------------------------------------------------------

MARKDOWN = """---
title: Birds
---
Before.

# Birds of *prey*

Text.

- one
- two

Kites & `Elanus`
----------------

```python
# no heading

## neither
```

> # nor this

[ref]: https://example.org

## Empty
# Owls
Hoot.
"""


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_lines_are_no_paragraphs_whatever_ends_them(line_end):
    first, second = f"two kites{line_end}hover here", f"two owls{line_end}sleep there"
    found = chunk_text(f"{first}{line_end} {line_end}{second}{line_end}", size=6, count="words")
    assert bodies(found) == [first, second]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_preformatted_text_is_split_between_its_lines_whatever_ends_them(line_end):
    page = line_end.join(["<pre>two kites hover here", "", "owls", "sleep there</pre>"])
    assert bodies(chunk_html(page, size=6, count="words")) == [
        f"two kites hover here{line_end}{line_end}owls",
        "sleep there",
    ]


def test_markdown_is_split_by_its_headings():
    assert [(each.headings, each.body) for each in chunk_markdown(MARKDOWN)] == [
        ((), "---\ntitle: Birds\n---\nBefore."),
        (("Birds of prey",), "Text.\n\n- one\n- two"),
        (
            ("Birds of prey", "Kites & Elanus"),
            MARKDOWN[MARKDOWN.index("```python") : MARKDOWN.index("\n\n## Empty")],
        ),
        (("Birds of prey",), "## Empty"),
        (("Owls",), "Hoot."),
    ]


def test_headings_are_put_before_the_text_and_outer_ones_left_out_where_they_are_long():
    source = "# A guide\n## Installing\n### On Windows\nRun it."
    (found,) = chunk_markdown(source)
    assert found.text == "A guide > Installing > On Windows\n\nRun it."
    (found,) = chunk_markdown(source, size=60)
    assert found.text == "Installing > On Windows\n\nRun it."
    (found,) = chunk_markdown(source, size=10)
    assert found.text == "Run it."
    assert found.headings == ("A guide", "Installing", "On Windows")


def test_a_heading_replaces_those_of_its_level_and_below():
    found = chunk_markdown("## a\nx\n#### b\nx\n### c\nx\n# d\nx\n### e\nx")
    assert [each.headings for each in found] == [
        ("a",), ("a", "b"), ("a", "c"), ("d",), ("d", "e"),
    ]  # fmt: skip


WHOLES = {
    "table": "| a | b |\n|---|---|\n" + "".join(f"| row {i} | v{i} |\n" for i in range(8)),
    "list": "".join(f"- item {i} of the list\n" for i in range(8)),
    "nested": "".join(f"1. item {i}\n   - sub {i}\n\n     para {i}\n" for i in range(4)),
    "fence": "```\ndef f():\n    # no heading\n\n    return 1\n\n\n# nor this\nx = 2\n```\n",
    "paragraph": "Some words of a paragraph here. It is long enough to be something.\n",
}


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(60, 400), st.integers(0, 30))
def test_what_belongs_together_stays_whole_where_it_fits(seed, size, overlap):
    rng = random.Random(seed)
    blocks = [WHOLES[rng.choice(list(WHOLES))] for _ in range(5)]
    # A rule between any two, as two lists in a row would be one.
    source = "\n***\n\n".join(blocks)
    found = bodies(chunk_markdown(source, size=size, overlap=overlap))
    for block in blocks:
        if len(block.rstrip()) <= size - overlap:
            assert any(block.rstrip() in body for body in found)


def test_long_lists_and_tables_are_split_between_items_and_rows():
    items = [f"- item {i}\n\n  more of {i}" for i in range(4)]
    assert bodies(chunk_markdown("\n".join(items), size=50)) == [
        "\n".join(items[:2]), "\n".join(items[2:]),
    ]  # fmt: skip
    rows = ["| a | b |", "|---|---|", *(f"| {i} | v{i} |" for i in range(4))]
    assert bodies(chunk_markdown("\n".join(rows), size=32)) == [
        "\n".join(rows[:3]), "\n".join(rows[3:]),
    ]  # fmt: skip


# --- HTML --------------------------------------------------------------------------------------

PAGE = """<!DOCTYPE html><html><head><title>Birds | Site</title><style>p > b {}</style>
<script>if (a < b) "<p>no</p>"</script></head><body>
<nav><ul><li><a href="/">Home</a></ul></nav>
<h1>Birds &amp; <i>bees</i></h1>
<p>Some  text&nbsp;&lt;b&gt; and <b>bo</b>ld<p>second
 paragraph &#8212; &copy &unknown; AT&T
<ul><li>one<li>two<ul><li>inner</ul></ul>
<table><tr><th>a<th>b<tr><td>c<td>d</table>
<h2>Sub</h2>line<br>next<pre>
x  = 1

y</pre><h2>Leaf</h2></body></html>"""


def test_html_is_read_and_split_by_its_headings():
    assert [(each.headings, each.body) for each in chunk_html(PAGE)] == [
        (
            ("Birds & bees",),
            "Some text\xa0<b> and bold\n\nsecond paragraph — © &unknown; AT&T\n\n- one\n- two\n  - inner\n\na | b\nc | d",
        ),
        (("Birds & bees", "Sub"), "line\nnext\n\nx  = 1\n\ny"),
        (("Birds & bees",), "Leaf"),
    ]


def test_offsets_of_html_are_those_of_the_source():
    first, second, third = chunk_html(PAGE)
    assert PAGE[first.start : first.end].startswith("Some  text&nbsp;&lt;b&gt; and <b>bo</b>ld<p>")
    assert PAGE[first.start : first.end].endswith("<tr><td>c<td>d")
    assert PAGE[second.start : second.end] == "line<br>next<pre>\nx  = 1\n\ny"
    assert PAGE[third.start : third.end] == "Leaf"


TAGS = ["p", "div", "ul", "li", "table", "tr", "td", "pre", "h1", "h2", "b", "nav", "script", "br"]
MARKS = [
    "&amp;",
    "&",
    "&#65;",
    "&#xZ;",
    "<",
    "<!-- x -->",
    "<![foo[ x",
    "<!x",
    "</",
    "\n",
    "  ",
    "<?x",
]


@settings(max_examples=100)
@given(
    st.lists(st.sampled_from(TAGS + [f"/{tag}" for tag in TAGS] + MARKS), max_size=30), st.data()
)
def test_any_html_gives_chunks_in_order_that_hold_its_words(parts, data):
    tags = {*TAGS, *(f"/{tag}" for tag in TAGS)}
    source = "".join(
        f"<{part}> word{i} " if part in tags else f"{part} " for i, part in enumerate(parts)
    )
    size = data.draw(st.integers(12, 60))  # less the overlap, a word fits still
    found = chunk_html(source, size=size, overlap=data.draw(st.integers(0, size // 2)))
    assert all(len(each.text) <= size for each in found)
    for before, after in itertools.pairwise(found):
        assert before.start <= after.start
        assert before.end <= after.end
    for each in found:
        for word in each.body.split():
            if word.startswith("word"):
                assert word in source[each.start : each.end]
    if not {"nav", "script", *MARKS} & set(parts):
        said = " ".join(f"{each.body} {' '.join(each.headings)}" for each in found).split()
        assert {f"word{i}" for i in range(len(parts))} <= set(said)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<h1>&nbsp;</h1>", []),
        ("<table><tr><td>\xa0</table>", []),
        ("<pre>\u3000 </pre>", []),
        ("<p>&nbsp;</p>", []),
        ("<h1>\xa0</h1><p>x</p>", [((), "x")]),
        ("<h1>a</h1>&nbsp;<h2>&#160;</h2><ul>\xa0</ul>", [((), "a")]),
        ("a&nbsp;b", [((), "a\xa0b")]),
    ],
)
def test_what_holds_only_space_in_html_is_blank(source, expected):
    assert [(each.headings, each.body) for each in chunk_html(source)] == expected


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("&#65", "A"),
        ("&#x41;", "A"),
        ("&#" + "0" * 5_000 + "65;", "A"),
        ("&#1114111;", ""),
        ("&#1114112;", "\ufffd"),
        ("&#" + "9" * 5_000 + ";", "\ufffd"),
        ("&#" + "9" * 5_000 + "a", "\ufffda"),
        ("&#x" + "f" * 5_000 + ";", "\ufffd"),
        ("&notit;", "¬it;"),
        ("&lt-", "<-"),
        *((each, each) for each in ["&", "&&", "&#", "&#;", "&#x;", "&#xZ", "C&#", "+", "&bird;"]),
    ],
)
def test_references_of_html_in_text_and_in_attributes(reference, said):
    source = f"<p title='{reference}'>a{reference} <script x={reference}>no</script>b<p>{reference}"
    assert [each.body for each in chunk_html(source, size=20_000)] == [
        f"a{said} b\n\n{said}".strip()
    ]


def test_offsets_of_a_reference_are_those_of_all_of_it():
    source = f"<p>one</p>\n<p>&#{'0' * 5_000}65; &amp two</p>"
    one, two = chunk_html(source, size=7)
    assert (one.body, source[one.start : one.end]) == ("one", "one")
    assert two.body == "A & two"
    assert source[two.start : two.end] == source[source.index("&#") : -len("</p>")]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("<p>a <!-- b <p>c<p>d", "a <!-- b <p>c\n\nd"),
        ("<p>a <b c='d>e <p>f", "a <b c='d>e\n\nf"),
        ("<p>a <b", "a <b"),
        ("<p>a <![CDATA[b <p>c<!-- d -->", "a <![CDATA[b <p>c"),
        ("<!-- a <p>b <!-- c --> d", "d"),
    ],
)
def test_a_tag_without_an_end_is_text_up_to_the_next_one(source, said):
    (found,) = chunk_html(source)
    assert found.body == said


def test_of_many_tags_without_an_end_the_last_end_at_the_next_angle():
    (found,) = chunk_html('<a b=">"' * 100 + " end")
    as_text = found.body.count("<a")
    assert 16 <= as_text < 32
    assert found.body == '<a b=">"' * as_text + '"' * (100 - as_text) + " end"


# --- code --------------------------------------------------------------------------------------

PYTHON = '''"""Doc."""
import os

X = "\\d"

# about f
@staticmethod
def f(a):
    return a

class A(int):
    """A doc."""

    y = 1

    def m(self):
        return 1

    class B:
        async def n(self):
            x = 1

            return x * 2222222222
print(1)
'''


def test_python_is_split_by_functions_and_classes():
    found = chunk_code(PYTHON, "python", size=70)
    assert [(each.headings, each.body) for each in found] == [
        ((), '"""Doc."""\nimport os\n\nX = "\\d"'),
        (("f",), "# about f\n@staticmethod\ndef f(a):\n    return a"),
        (("A",), 'class A(int):\n    """A doc."""\n\n    y = 1'),
        (("A.m",), "    def m(self):\n        return 1"),
        (("A.B",), "    class B:"),
        (("A.B.n",), "        async def n(self):\n            x = 1"),
        (("A.B.n",), "            return x * 2222222222"),
        ((), "print(1)"),
    ]
    assert found[1].text == "f\n\n# about f\n@staticmethod\ndef f(a):\n    return a"


def test_a_class_that_fits_stays_whole():
    found = chunk_code(PYTHON, "python", size=300)
    (whole,) = [each.body for each in found if each.headings == ("A",)]
    assert whole == PYTHON[PYTHON.index("class A") : PYTHON.index("\nprint")]


@pytest.mark.parametrize("module", [ast, textwrap, random, inspect])
@pytest.mark.parametrize("size", [200, 1500])
def test_every_function_that_fits_is_in_one_chunk_below_its_name(module, size):
    source = inspect.getsource(module)
    found = chunk_code(source, "python", size=size)
    lines = source.splitlines(keepends=True)
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            whole = "".join(lines[node.lineno - 1 : node.end_lineno]).strip()
            if len(whole) <= size // 2:
                assert any(whole in each.body and each.headings == (node.name,) for each in found)
    kept = {place for each in found for place in range(each.start, each.end)}
    assert all(letter.isspace() or place in kept for place, letter in enumerate(source))


def test_python_that_does_not_parse_is_split_as_other_code():
    source = "def f(x):\n    print x\n\n    return 1\n\ndef g():\n    pass\n"
    assert chunk_code(source, "python", size=50) == chunk_code(source, size=50)
    assert bodies(chunk_code(source, "python", size=50)) == [
        "def f(x):\n    print x\n\n    return 1", "def g():\n    pass",
    ]  # fmt: skip
    assert bodies(chunk_code("(" * 5000, "python", size=9000)) == ["(" * 5000]
    assert bodies(chunk_code("\0", "python")) == ["\0"]


def test_the_code_that_is_read_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (found,) = chunk_code("def f():\n    return '\\d'\n", "python")
    assert found.headings == ("f",)


def test_a_byte_order_mark_is_no_error_of_syntax():
    (found,) = chunk_code("\ufeffdef f():\n    return 1\n", "python")
    assert found.headings == ("f",)


def test_other_code_is_split_where_a_line_without_indentation_follows_a_blank_one():
    f = "int f() {\n  a();\n\n  b();\n\n}"
    g = "int g() {\n  c();\n}"
    assert bodies(chunk_code(f"{f}\n\n{g}\n", size=40)) == [f, g]
    assert bodies(chunk_code(f"{f}\n\n{g}\n", size=60)) == [f"{f}\n\n{g}"]


# --- bounds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_what_begins_like_front_matter_and_has_no_end_is_read_once(line_end):
    """Twice as many ways to read each line would never end."""
    source = f"---{line_end}" + f"some text{line_end}" * 200
    assert "some text" in "".join(bodies(chunk_markdown(source, size=10_000)))
    source = f"---{line_end}" + "\r" * 200 + "end"
    assert bodies(chunk_markdown(source, size=10_000))[-1].endswith("end")


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_front_matter_is_no_heading_whatever_ends_its_lines(line_end):
    source = line_end.join(["---", "title: kites", "---", "", "# Kites", "", "They hover.", ""])
    found = chunk_markdown(source)
    assert bodies(found) == [line_end.join(["---", "title: kites", "---"]), "They hover."]
    assert [each.headings for each in found] == [(), ("Kites",)]


def test_items_of_lists_in_thousands_of_lists_are_indented_by_no_more_than_twenty_levels():
    (found,) = chunk_html("<ul><li>x" * 2_000, size=10**9)
    lines = found.body.splitlines()
    assert [line.strip() for line in lines] == ["- x"] * 2_000
    assert max(map(len, lines)) == 2 * 20 + len("- x")


def process_time(split, source):
    start = time.process_time()
    split(source)
    return time.process_time() - start


@pytest.mark.parametrize(
    ("split", "part", "then"),
    [
        (chunk_html, "<a ", ""),
        (chunk_html, "<!--", ""),
        (chunk_html, "<!-->", ""),
        (chunk_html, '<a b=">"', ""),
        (chunk_html, "<![CDATA[>", ""),
        (chunk_html, "<?", ""),
        (chunk_html, "<ul>", "</ol>"),
        (chunk_html, "<ul><li>x", "</ul>"),
        (chunk_html, "<svg>", "<nav>"),
        (chunk_markdown, "- a\n\n1. b\n\n", ""),
        (chunk_markdown, "|a|\n|-|\n\n", ""),
    ],
)
def test_time_grows_with_the_length_of_a_source_and_not_with_its_square(split, part, then):
    few, many = (part * n + then * n for n in (1_000, 8_000))
    # Eight times as much, or 64 times.
    assert process_time(split, many) < 30 * max(process_time(split, few), 0.005)

"""Texts of users are no query language: any of them is a document and a query."""

import pytest

from elanus import AnnSearchRequest

USER_TEXTS = [
    'C++ "x" AND (', "", " ", "\t\n", "🦊", "👩‍👩‍👧‍👦 family", "e" * 10_000, "word " * 2_000,
    "'; DROP TABLE c; --", "中文搜索引擎", "日本語のテキスト", "a\0b", "\0", "مرحبا بالعالم",
    "\u202eright to left\u202c", "e\u0301\u0302\u0303" * 500, "%_*?[]{}()\\^$.|+", "NEAR(a b)",
    "a OR b NOT c", '"', "'", "\\", "{x}", "𝕬𝖇𝖈", "ﬁ", "İstanbul ß", "\ufeffbom", "\uffff",
    "-5", "1e999", "x" * 200 + " " + "y" * 200, "".join(map(chr, range(1, 0x300))),
]  # fmt: skip


@pytest.mark.parametrize("text", USER_TEXTS, ids=lambda text: ascii(text[:12]))
def test_any_text_is_a_query_and_a_document(table, text, good):
    """No syntax, so no syntax error; a text finds itself if it holds a word at all."""
    assert len(table.search("c", [text], anns_field="terms")) == 1
    query = {"filter_params": {"q": text}, "output_fields": ["id"]}
    before = table.query("c", "text_match(text, {q})", **query)
    assert all(row["id"] in (0, 1, 2) for row in before)

    table.insert("c", {**good, "id": 9, "text": text})
    assert table.get("c", 9, output_fields=["text"]) == [{"id": 9, "text": text}]
    ranked = [hit.id for hit in table.search("c", [text], anns_field="terms")[0]]
    matched = [row["id"] for row in table.query("c", "text_match(text, {q})", **query)]
    assert (9 in ranked) == (9 in matched)
    if any(char.isalnum() for char in text):
        assert 9 in matched


def test_all_user_texts_at_once(table, good):
    table.insert("c", [{**good, "id": 100 + i, "text": t} for i, t in enumerate(USER_TEXTS)])
    together = table.search("c", USER_TEXTS, anns_field="terms", limit=50)
    assert together == [table.search("c", [t], anns_field="terms", limit=50)[0] for t in USER_TEXTS]
    requests = [AnnSearchRequest(USER_TEXTS, "terms", {}, 5)]
    assert len(table.hybrid_search("c", requests)) == len(USER_TEXTS)

"""The analyzer ``multilingual``: spellings that meet, stems by script, and what queries drop."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus.errors import ParamError
from elanus.text import build_analyzer

MULTILINGUAL = build_analyzer("multilingual")


@pytest.mark.parametrize(
    ("one", "other", "term"),
    [
        ("café", "cafe", "cafe"),
        ("cafe\u0301", "CAFÉS", "cafe"),
        ("Straße", "strasse", "strass"),
        ("STRASSE", "straße", "strass"),
        ("naïve", "naive", "naiv"),
        ("résumé", "resume", "resum"),
        ("Łódź", "lodz", "lodz"),
        ("İstanbul", "istanbul", "istanbul"),
        ("ＦＵＬＬ", "full", "full"),
        ("ﬁnal", "final", "final"),
        ("книгами", "книга", "книг"),
        ("ёлка", "Елки", "елк"),
        ("Москва\u0301", "москва", "москв"),
        ("ανθρώπων", "Άνθρωπος", "ανθρωπ"),
        ("كِتَابٌ", "الكتاب", "كتاب"),
        ("שָׁלוֹם", "שלום", "שלום"),
        ("किताबें", "किताब", "किताब"),
        ("running", "Runs", "run"),
    ],
)
def test_two_spellings_or_forms_of_a_word_are_one_term(one, other, term):
    assert MULTILINGUAL.tokens(one) == MULTILINGUAL.tokens(other) == [term]
    assert MULTILINGUAL.query_tokens(one) == MULTILINGUAL.query_tokens(other) == [term]


@pytest.mark.parametrize(
    ("one", "other"),
    [("йод", "иод"), ("दिल", "दल"), ("がく", "かく"), ("C++", "C")],
)
def test_other_words_stay_apart(one, other):
    assert MULTILINGUAL.tokens(one) != MULTILINGUAL.tokens(other)


@pytest.mark.parametrize(
    ("text", "in_documents", "in_queries"),
    [
        ("The owl is in the barn", "the owl is in the barn", "owl barn"),
        ("How does an owl see?", "how doe an owl see", "owl see"),
        ("WHAT are kites", "what are kite", "kite"),
        ("What's a kite", "what a kite", "kite"),
        ("do_not_track", "do_not_track do not track", "do_not_track track"),
        ("To be or not to be", "to be or not to be", "to be or not to be"),
        ("The Who", "the who", "the who"),
        ("what is it?", "what is it", "what is it"),
        ("что это такое", "что эт так", "что эт так"),
        ("the 机器", "the 机 机器 器", "机 机器 器"),
        ("?!", "", ""),
    ],
)
def test_words_that_ask_for_nothing_are_dropped_from_queries_that_say_more(
    text, in_documents, in_queries
):
    assert MULTILINGUAL.tokens(text) == in_documents.split()
    assert MULTILINGUAL.query_tokens(text) == in_queries.split()


def test_stop_words_that_are_given_are_dropped_from_queries_too():
    analyzer = build_analyzer({"type": "multilingual", "stop_words": ["Été", "это"]})
    assert analyzer.tokens("un été") == ["un", "ete"]
    assert analyzer.query_tokens("un été") == ["un"]
    assert analyzer.query_tokens("что это") == ["что"]
    assert analyzer.query_tokens("the été") == ["the", "ete"]


def test_a_batch_of_documents_keeps_stop_words():
    batch = MULTILINGUAL.analyze(["the owl and the kite", "to be"])
    assert sorted(batch.vocabulary) == ["and", "be", "kite", "owl", "the", "to"]
    assert batch.counts.sum() == 7


@pytest.mark.parametrize("name", ["standard", "english", "whitespace"])
@given(text=st.text())
def test_queries_of_another_analyzer_are_analysed_as_documents_are(name, text):
    analyzer = build_analyzer(name)
    assert analyzer.query_tokens(text) == analyzer.tokens(text)


@given(st.text())
def test_a_query_has_terms_of_a_document_and_some_if_the_document_has_any(text):
    document, query = MULTILINGUAL.tokens(text), MULTILINGUAL.query_tokens(text)
    left = iter(document)
    assert all(term in left for term in query)  # a subsequence
    assert bool(query) == bool(document)


def test_its_words_are_in_the_identity():
    steps = json.loads(MULTILINGUAL.identity)["filter"]
    assert [step["type"] for step in steps] == [
        *("wordparts", "lowercase", "querystop", "folding", "scriptstemmer")
    ]
    assert steps[2]["stop_words"] == sorted(
        [
            "a",
            "an",
            "and",
            "are",
            "as",
            "at",
            "be",
            "but",
            "by",
            "for",
            "if",
            "in",
            "into",
            "is",
            "it",
            "no",
            "not",
            "of",
            "on",
            "or",
            "such",
            "that",
            "the",
            "their",
            "then",
            "there",
            "these",
            "they",
            "this",
            "to",
            "was",
            "will",
            "with",
            "what",
            "which",
            "who",
            "whom",
            "whose",
            "when",
            "where",
            "why",
            "how",
            "do",
            "does",
            "did",
            "tell",
            "me",
            "about",
            "please",
            "you",
            "i",
            "my",
            "we",
            "give",
            "show",
            "explain",
            "have",
            "has",
            "had",
        ]
    )


def test_what_a_question_has_is_not_looked_for():
    assert MULTILINGUAL.query_tokens("How many days do I have?") == ["mani", "day"]
    assert MULTILINGUAL.query_tokens("have had") == ["have", "had"]  # it says nothing else
    assert "get" in MULTILINGUAL.query_tokens("what does dict.get do")


@pytest.mark.parametrize("wrong", [None, 5, b"owl", ["owl"]])
def test_a_query_is_a_text(wrong):
    with pytest.raises(ParamError, match="text must be a string to be analyzed"):
        MULTILINGUAL.query_tokens(wrong)

"""Each filter alone, after the whitespace tokenizer; and Milvus's form as a whole."""

import pytest

from elanus.text import build_analyzer


def terms(text, *filters, tokenizer="whitespace"):
    return " ".join(build_analyzer({"tokenizer": tokenizer, "filter": list(filters)}).tokens(text))


CASES = {
    "lowercase": ("lowercase", "ABC Éa İ", "abc éa i"),
    "asciifolding": (
        "asciifolding",
        "Café Łódź straße Ærø ﬁn naïve",
        "Cafe Lodz strasse AEro fin naive",
    ),
    "asciifolding, decomposed": ("asciifolding", "cafe\u0301 \u0301", "cafe"),
    "asciifolding keeps other scripts": (
        "asciifolding",
        "Москвай 서울 हिन्दी が",
        "Москвай 서울 हिन्दी が",
    ),
    "alphanumonly": ("alphanumonly", "a1 b-2 机 é C++", "a1"),
    "cncharonly": ("cncharonly", "机器 a1 机a 。", "机器"),
    "cnalphanumonly": ("cnalphanumonly", "机器 a1 机a 机- é", "机器 a1 机a"),
    "removepunct": ("removepunct", "a , -- 。 + $ 🎉 a, c++", "a 🎉 a, c++"),
    "length, max": ({"type": "length", "max": 3}, "a abc abcd 机器学 机器学习", "a abc 机器学"),
    "length, min": ({"type": "length", "min": 2}, "a ab abc", "ab abc"),
    "length, both": ({"type": "length", "min": 2, "max": 2}, "a ab abc", "ab"),
    "stop": ({"type": "stop", "stop_words": ["foo", "_english_"]}, "the foo bar The is", "bar The"),
    "stop, one string": ({"type": "stop", "stop_words": "_english_"}, "the foo", "foo"),
    "stemmer, english": ({"type": "stemmer", "language": "english"}, "running ponies", "run poni"),
    "stemmer, Milvus's spelling": ({"type": "stemmer", "language": "English"}, "running", "run"),
    "stemmer, german": ({"type": "stemmer", "language": "german"}, "häuser", "haus"),
    "stemmer, russian": ({"type": "stemmer", "language": "russian"}, "книгами", "книг"),
    "folding, Latin": (
        "folding",
        "Café café straße Łódź ærø naïve",
        "Cafe cafe strasse Lodz aero naive",
    ),
    "folding, Greek": ("folding", "άνθρωπος ϊΰ ἄνθρωπος", "ανθρωπος ιυ ανθρωπος"),
    "folding, Cyrillic": ("folding", "ёлка Москва́ и\u0306од їжак", "елка Москва йод їжак"),
    "folding, Hebrew": ("folding", "שָׁלוֹם שלום", "שלום שלום"),
    "folding, Arabic": ("folding", "كِتَابٌ كتـــاب كتاب أحمد", "كتاب كتاب كتاب أحمد"),
    "folding keeps what makes other letters": (
        "folding",
        "हिन्दी が 서울 機 ไทย",
        "हिन्दी が 서울 機 ไทย",
    ),
    "folding drops a mark alone": ("folding", "a ́ b", "a b"),
    "scriptstemmer, Latin": ("scriptstemmer", "running ponies", "run poni"),
    "scriptstemmer, Cyrillic": ("scriptstemmer", "книгами книга", "книг книг"),
    "scriptstemmer, Greek": ("scriptstemmer", "ανθρωπος ανθρωπων", "ανθρωπ ανθρωπ"),
    "scriptstemmer, Arabic": ("scriptstemmer", "الكتاب كتاب", "كتاب كتاب"),
    "scriptstemmer, Devanagari": ("scriptstemmer", "किताबें किताब", "किताब किताब"),
    "scriptstemmer, no stemmer": ("scriptstemmer", "שלום 機器 서울 ไทย", "שלום 機器 서울 ไทย"),
    "scriptstemmer, two scripts": ("scriptstemmer", "tnfα tnfалка α", "tnfα tnfалка α"),
    "wordparts": ("wordparts", "getName a.b_cd x's", "getName get Name a.b_cd cd x"),
    "wordparts of what is no word": ("wordparts", "'s -- é 机器", "-- é 机器"),
}


@pytest.mark.parametrize(("step", "text", "expected"), CASES.values(), ids=CASES.keys())
def test_filter(step, text, expected):
    assert terms(text, step) == expected


def test_filters_work_in_the_order_given():
    stop = {"type": "stop", "stop_words": ["the"]}
    assert terms("The end", "lowercase", stop) == "end"
    assert terms("The end", stop, "lowercase") == "the end"


def test_a_filter_may_be_a_mapping_without_options():
    assert terms("ABC", {"type": "lowercase"}) == "abc"


def test_whitespace_changes_nothing():
    assert terms("Don't C++,  ＡＢＣ!\u3000机器") == "Don't C++, ＡＢＣ! 机器"


def test_whitespace_replaces_lone_surrogates():
    assert terms("a\ud800b") == "a\ufffdb"


def test_whitespace_cuts_long_words():
    assert terms("x" * 1000) == "x" * 255


def test_explicit_standard_keeps_case_and_adds_no_parts():
    assert (
        terms("The getName2 ＡＢＣ snake_case", tokenizer="standard")
        == "The getName2 ABC snake_case"
    )


def test_explicit_standard_splits_chinese():
    assert terms("机器a", tokenizer={"type": "standard"}) == "机 机器 器 a"


def test_milvus_form_with_everything():
    steps = (
        "lowercase",
        "asciifolding",
        {"type": "stop", "stop_words": ["_english_", "foo"]},
        {"type": "stemmer", "language": "english"},
        {"type": "length", "max": 8},
    )
    text = "The FOO cafés running internationalisation"
    assert terms(text, *steps, tokenizer="standard") == "cafe run"

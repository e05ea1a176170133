"""What the default analyzer takes for a term."""

import string
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from elanus.text import build_analyzer

STANDARD = build_analyzer(None)

CASES = {
    "English": ("The quick, brown fox!", "the quick brown fox"),
    "hyphen": ("state-of-the-art COVID-19", "state of the art covid 19"),
    "apostrophe": ("don't O'Reilly", "don't don o'reilly reilly"),
    "typographic apostrophe": ("don’t l’université", "don't don l'université université"),
    "possessive": ("Einstein's authors' Moody’s NASA'S", "einstein authors moody nasa"),
    "quotes": ("'quoted' \"x\"? AND (OR)", "quoted x and or"),
    "camel case": ("getHTTPResponse2", "gethttpresponse2 get http response 2"),
    "lower camel case": ("iPhone vLLM", "iphone phone vllm llm"),
    "capitals and their plural": ("NASA LLMs URLs", "nasa llms urls"),
    "Cyrillic camel case": ("ПолучитьДанные", "получитьданные получить данные"),
    "snake case": ("snake_case MAX_SIZE", "snake_case snake case max_size max size"),
    "dunder": ("__init__ _emphasis_", "__init__ init _emphasis_ emphasis"),
    "underscores only": ("____ _._ _", ""),
    "letters and digits": ("utf8 x86", "utf8 utf 8 x86 86"),
    "dotted": ("os.path.join end.Next", "os.path.join os path join end.next end next"),
    "abbreviation": ("e.g. this", "e.g this"),
    "ellipsis": ("wait...what .. ok.", "wait what ok"),
    "numbers": ("3.14 ubuntu 20.04 1,000,000 3,14", "3.14 ubuntu 20.04 1,000,000 3,14"),
    "comma without digits": ("a,b 1,a a,1", "a b 1 a a 1"),
    "version": ("v1.2.3 python3.11", "v1.2.3 1.2.3 python3.11 python 3.11"),
    "C and its family": ("C C++ C# F#, C++17", "c c++ c# f# c++ 17"),
    "signs after longer words": ("Notepad++ g++;", "notepad++ notepad g++"),
    "signs elsewhere": ("#tag ++i a+b x#y +1", "tag i a b x y 1"),
    "leading full stop": (".NET ASP.NET .gitignore", "net asp.net asp net gitignore"),
    "slash, at, ampersand": ("GB/s me@mail.org AT&T", "gb s me mail.org mail org at t"),
    "Chinese": ("机器学习。", "机 机器 器 器学 学 学习 习"),
    "one Chinese character": ("学", "学"),
    "Chinese repeated": ("哈哈哈", "哈 哈哈 哈 哈哈 哈"),
    "Chinese and Latin": ("用Python3编程", "用 python3 python 3 编 编程 程"),
    "Chinese and full stop": ("学.py 2024年", "学 py 2024 年"),
    "Chinese outside the basic plane": ("𠮷野", "𠮷 𠮷野 野"),
    "Japanese": ("東京タワー、です", "東 東京 京 京タ タ タワ ワ ワー ー で です す"),
    "half-width kana": ("ｶﾞｽ", "ガ ガス ス"),
    "decomposed kana": ("か\u3099", "が"),
    "Korean": ("서울 날씨", "서 서울 울 날 날씨 씨"),
    "decomposed Korean": (unicodedata.normalize("NFD", "서울"), "서 서울 울"),
    "Thai": ("ที่นี่", "ที่ ที่นี่ นี่"),
    "Russian": ("Привет, МИР", "привет мир"),
    "Greek": ("ΟΔΟΣ Σοφία", "οδος σοφία"),
    "Arabic": ("مرحبا بالعالم؟", "مرحبا بالعالم"),
    "Persian with a joiner": ("می\u200cخواهم", "میخواهم"),
    "Hebrew": ("שלום עולם", "שלום עולם"),
    "Hindi": ("हिन्दी में", "हिन्दी में"),
    "German": ("Straße GRÜSSE", "straße grüsse"),
    "Turkish": ("İstanbul", "istanbul"),
    "decomposed accents": ("cafe\u0301 CAFÉ", "café café"),
    "full width": ("ＡＢＣ １２３", "abc 123"),
    "ligature": ("ﬁle", "file"),
    "superscript and trademark": ("x² Windows™", "x2 2 windows"),
    "soft hyphen": ("co\u00adoperate", "cooperate"),
    "fraction": ("½", "1 2"),
    "emoji": ("🎉🎉 ok", "🎉 🎉 ok"),
    "emoji with joiner and tone": ("👩🏽‍💻 ❤️", "👩 💻 ❤"),
    "flag": ("🇩🇪🇫🇷", "🇩🇪 🇫🇷"),
    "symbols": ("→ € ∑ + = §", ""),
    "empty": ("", ""),
    "white space": (" \n\t\u3000", ""),
    "punctuation": ("?! ... — 。，「」 '' ## ++", ""),
    "control characters": ("a\x00b\x07c", "a b c"),
    "lone surrogate": ("x\ud800y é\udfff", "x y é"),
}


@pytest.mark.parametrize(("text", "terms"), CASES.values(), ids=CASES.keys())
def test_text_gives_terms(text, terms):
    assert STANDARD.tokens(text) == terms.split()


def test_a_space_inside_a_compatibility_character_separates_words():
    assert STANDARD.tokens("ﷺ") == ["صلى", "الله", "عليه", "وسلم"]


def test_c_plus_plus_is_no_c():
    assert not set(STANDARD.tokens("C++")) & set(STANDARD.tokens("C"))


def test_a_long_word_is_cut_and_has_no_parts():
    assert STANDARD.tokens("aB3" * 4000) == [("ab3" * 4000)[:255]]


def test_a_word_has_parts_up_to_64_characters():
    assert len(STANDARD.tokens("a" * 31 + "_" + "b" * 32)) == 3
    assert len(STANDARD.tokens("a" * 32 + "_" + "b" * 32)) == 1


def test_a_long_chinese_run_is_not_cut():
    assert len(STANDARD.tokens("机" * 5000)) == 9999


@given(st.text(string.printable))
@example("1,2.c++#d's_E")
def test_ascii_rules_are_the_unicode_rules(text):
    # The second text is not ASCII, so it takes the other pattern.
    assert STANDARD.tokens(text + " é") == [*STANDARD.tokens(text), "é"]


@given(st.text(string.ascii_letters + string.digits + " "))
def test_full_width_letters_equal_narrow_ones(text):
    wide = {ord(c): ord(c) + 0xFEE0 for c in string.ascii_letters + string.digits}
    assert STANDARD.tokens(text.translate(wide)) == STANDARD.tokens(text)


@given(st.lists(st.sampled_from(["ab", "机", "器", " ", "!"])))
def test_words_and_runs_match_a_character_by_character_reading(pieces):
    text = "".join(pieces)
    expected, word, run = [], "", ""
    for character in text + " ":
        if character in "ab":
            word += character
        elif word:
            expected.append(word)
            word = ""
        if character in "机器":
            expected += [run[-1] + character, character] if run else [character]
            run += character
        else:
            run = ""
    assert STANDARD.tokens(text) == expected


@given(st.lists(st.sampled_from([*"aBsЖ9_.,'+# 机é", "http", "LLM"])))
def test_every_term_is_found_by_typing_it(pieces):
    terms = STANDARD.tokens("".join(pieces))
    assert [term for term in terms if term not in STANDARD.tokens(term)] == []


@given(st.text(st.characters()))
def test_terms_are_storable_and_in_lower_case(text):
    for term in STANDARD.tokens(text):
        assert term
        assert term.encode()
        assert len(term) <= 255
        assert term == term.lower()

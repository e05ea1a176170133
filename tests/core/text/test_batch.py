"""Counting a batch equals counting its texts one by one."""

import threading
from collections import Counter
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from elanus.errors import ParamError
from elanus.text import _analyzer as analyzer_module
from elanus.text import _numbered as numbered_module
from elanus.text import _scan as scan_module
from elanus.text import build_analyzer

ANALYZERS = {
    "standard": build_analyzer(None),
    "english": build_analyzer("english"),
    "multilingual": build_analyzer("multilingual"),
    "whitespace": build_analyzer("whitespace"),
    "filters": build_analyzer(
        {
            "tokenizer": "whitespace",
            "filter": ["asciifolding", "removepunct", {"type": "stemmer", "language": "german"}],
        }
    ),
}
# Any code point, surrogates included, and words that repeat.
TEXTS = st.lists(
    st.one_of(
        st.text(st.characters()),
        st.lists(st.sampled_from(["the", "running", "getName2", "机器机器", "🎉", "b's"])).map(
            " ".join
        ),
    )
)


def counts_of(batch):
    rows = []
    for start, end in zip(batch.offsets[:-1], batch.offsets[1:], strict=True):
        pairs = zip(batch.terms[start:end], batch.counts[start:end], strict=True)
        rows.append({batch.vocabulary[term]: int(number) for term, number in pairs})
    return rows


@pytest.mark.parametrize("name", ANALYZERS)
@given(texts=TEXTS)
def test_batch_has_the_counts_of_single_texts(name, texts):
    analyzer = ANALYZERS[name]
    batch = analyzer.analyze(texts)
    assert counts_of(batch) == [Counter(analyzer.tokens(text)) for text in texts]


# Characters that join words, end them or stand between them; long and short words.
PIECES = [*"aB1s_.,'+#- \n\x00\x1c\x7f", "word", "a" * 7, "a" * 8, "1" * 16]
ASCII = st.lists(st.sampled_from(PIECES)).map("".join)


@pytest.mark.parametrize("name", ["standard", "english"])
@given(texts=st.lists(st.one_of(ASCII, st.sampled_from(["Über Größe", "机器学", ""]))))
@example(texts=["1" * 16 + "a", "1" * 16, "1" * 16 + "b", "1" * 17, "1" * 16])
def test_texts_that_are_scanned_have_the_counts_of_single_texts(name, texts):
    analyzer = build_analyzer(name)  # which knows no word yet
    with patch.object(numbered_module, "_WORTH_A_SCAN", 0):
        batch = analyzer.analyze(texts)
    assert counts_of(batch) == [Counter(ANALYZERS[name].tokens(text)) for text in texts]


def test_long_texts_are_scanned_and_have_the_counts_of_single_texts():
    texts = [f"word{n % 97} x{n}, C++ 1,0{n}. The end-of-line's" for n in range(2000)]
    batch = build_analyzer(None).analyze([*texts, "Ärger"])
    expected = [Counter(ANALYZERS["standard"].tokens(text)) for text in [*texts, "Ärger"]]
    assert counts_of(batch) == expected


def test_words_whose_sums_collide_are_told_apart(monkeypatch):
    monkeypatch.setattr(scan_module, "_SPREAD", np.uint64(0))  # now only eight characters count
    texts = ["abcdefgh1 abcdefgh2 abcdefgh1 abcdefgh2 abcdefgh3 abcdefgh"] * 3
    words = scan_module.scan(texts, scan_module.scanner(" \n", ""))
    assert words.lengths.tolist() == [6, 6, 6]
    assert [words.words[n] for n in words.numbers] == " ".join(texts).split()


@given(texts=TEXTS)
def test_batch_is_in_canonical_form(texts):
    batch = ANALYZERS["standard"].analyze(texts)
    assert batch.offsets.dtype == np.int64
    assert batch.terms.dtype == batch.counts.dtype == np.uint32
    assert len(batch.offsets) == len(texts) + 1
    assert (batch.offsets[0], batch.offsets[-1]) == (0, len(batch.terms))
    assert len(set(batch.vocabulary)) == len(batch.vocabulary)
    assert set(batch.terms.tolist()) == set(range(len(batch.vocabulary)))
    assert (batch.counts > 0).all()
    for start, end in zip(batch.offsets[:-1], batch.offsets[1:], strict=True):
        assert (np.diff(batch.terms[start:end].astype(np.int64)) > 0).all()


@given(st.text(st.characters()))
def test_terms_of_any_analyzer_can_be_encoded(text):
    for analyzer in ANALYZERS.values():
        assert all(term and term.encode() for term in analyzer.tokens(text))


@pytest.mark.parametrize("texts", [[], [""], ["", " ", "..."]])
def test_texts_without_terms_give_empty_rows(texts):
    batch = ANALYZERS["english"].analyze(texts)
    assert batch.vocabulary == []
    assert batch.offsets.tolist() == [0] * (len(texts) + 1)
    assert batch.terms.size == batch.counts.size == 0


def test_forgetting_changes_nothing(monkeypatch):
    monkeypatch.setattr(analyzer_module, "_REMEMBERED_WORDS", 3)
    analyzer = build_analyzer("english")
    texts = ["one two three four five six", "six two running runs", "six six one"]
    for _ in range(2):
        assert counts_of(analyzer.analyze(texts)) == counts_of(ANALYZERS["english"].analyze(texts))
        assert len(analyzer._terms) <= 3


def test_neither_long_words_nor_long_results_are_remembered():
    analyzer = build_analyzer(None)
    analyzer.tokens("x" * 10_000 + " " + "机器学习" * 100)
    assert not analyzer._terms


def test_one_string_is_no_batch():
    with pytest.raises(ParamError, match="list of texts"):
        ANALYZERS["standard"].analyze("abc")


@pytest.mark.parametrize("bad", [None, b"abc", 3])
def test_what_is_no_text_is_named(bad):
    with pytest.raises(ParamError, match=r"^text must be a string"):
        ANALYZERS["standard"].tokens(bad)
    with pytest.raises(ParamError, match=r"^texts\[1\] must be a string"):
        ANALYZERS["standard"].analyze(["a", bad])


def test_threads_share_an_analyzer():
    words = [f"word{n}ing runningly{n} Über{n}" for n in range(400)]
    expected = counts_of(build_analyzer("english").analyze(words))
    shared = build_analyzer("english")
    barrier, wrong = threading.Barrier(4), []

    def work():
        barrier.wait()
        for _ in range(5):
            shared._terms.clear()
            if counts_of(shared.analyze(words)) != expected:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []

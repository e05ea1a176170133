"""Reports: the tables, and a page that holds all it needs and nothing that it should not."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from elanus import DocumentStore
from elanus.errors import MissingExtraError, ParamError
from elanus.evaluation import (
    Questions,
    evaluate,
    evaluate_runs,
    html_report,
    known_item_queries,
    text_report,
)

EVIL = "<script>alert('x')</script> & \"quoted\" \ud800 \0 \x1b"
VOID = {"meta", "br"}


class Page(HTMLParser):
    """What a page holds, read strictly: every tag is closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def two_runs(make_run, questions):
    found = {"hover": ["elanus", "kite"], "dive": ["owl", "falcon"], "night": [], "none": ["owl"]}
    better = found | {"dive": ["falcon"], "night": ["kite", "owl"]}
    runs = [make_run("old", found), make_run("newer", better)]
    return evaluate_runs(runs, questions, measures=["nDCG@10", "recall@10"])


def test_a_text_report_has_means_and_comparisons(two_runs):
    assert text_report(two_runs) == (
        "birds: 4 judged questions\n"
        "\n"
        "       nDCG@10  recall@10\n"
        "old     0.4077     0.5000\n"
        "newer   0.6577     0.7500\n"
        "\n"
        "nDCG@10 less that of old:\n"
        "\n"
        "       difference       95 % interval      p  p (Holm)  better  worse  equal\n"
        "newer     +0.2500  +0.0000 to +0.5000  0.500     0.500       2      0      2\n"
    )


def test_one_run_or_one_question_is_compared_with_nothing(two_runs, make_run):
    alone = evaluate_runs(two_runs.runs[:1], two_runs.questions, measures=["MRR"])
    assert text_report(alone) == "birds: 4 judged questions\n\n        MRR\nold  0.3750\n"
    one = Questions({"q": "?"}, {"q": {"a": 1}})
    runs = [make_run("old", {"q": ["a"]}), make_run("new", {"q": []})]
    pair = evaluate_runs(runs, one, measures=["MRR"])
    assert "less that of" not in text_report(pair)
    assert "Gains" not in Page(html_report(pair)).text


def test_known_items_are_called_that(birds):
    evaluation = evaluate(birds, known_item_queries(birds))
    said = "5 known-item queries, made of the first sentence of each of 5 documents; nobody asked"
    assert said in text_report(evaluation)
    page = Page(html_report(evaluation)).text
    assert said in page
    assert "They favour search by words" in page


def test_a_page_loads_nothing_and_runs_nothing(birds, questions):
    page = Page(html_report(evaluate(birds, questions), birds))
    assert set(page.tags) & {"script", "link", "img", "iframe", "object", "image", "use"} == set()
    names = {name for name, _ in page.attributes}
    assert names & {"src", "href", "srcset", "onload", "onclick", "xlink:href"} == set()
    text = html_report(evaluate(birds, questions), birds)
    assert "://" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


def test_a_page_is_the_same_each_time(birds, questions):
    assert html_report(evaluate(birds, questions), birds) == html_report(
        evaluate(birds, questions), birds
    )


def test_a_page_follows_the_readers_scheme(two_runs):
    page = html_report(two_runs)
    light, dark = (
        set(re.findall(r"(--\w+):", part)) for part in page.split("prefers-color-scheme: dark", 1)
    )
    assert light == dark != set()
    assert set(re.findall(r"var\((--\w+)\)", page)) == light


def test_whatever_texts_and_names_hold_is_shown_and_never_obeyed(embedding, make_run):
    with DocumentStore(":memory:", embedding) as store:
        plain = EVIL.encode(errors="replace").decode().replace("\0", "")
        store.add([plain, "other"], ids=[plain, "b"])
        questions = Questions({"q": EVIL}, {"q": {plain: 1}}, plain, plain)
        runs = [make_run(plain, {"q": ["b"]}, mode="dense"), make_run("o", {"q": []}, mode="text")]
        text = html_report(evaluate_runs(runs, questions, measures=["MRR"]), store)
    page = Page(text)
    assert "script" not in page.tags
    assert page.text.count("<script>alert('x')</script> & \"quoted\"") >= 5
    assert not re.search(r"[\0\x1b]", text)
    assert text.encode("utf-8")


@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_plots_are_sound_whatever_there_is(embedding, count):
    with DocumentStore(":memory:", embedding) as store:
        store.add([f"This is number {i} of them." for i in range(count)])
        text = html_report(evaluate(store, known_item_queries(store)), store)
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) == 9 + 2 * (count > 1)
    for drawing in drawings:
        root = ET.fromstring(drawing)  # noqa: S314  # our own
        _, _, width, height = map(float, root.get("viewBox").split())
        for shape in root.iter():
            for name, end in (("x", width), ("y", height), ("cx", width), ("cy", height)):
                assert 0 <= float(shape.get(name, 0)) <= end
            assert float(shape.get("width", 0)) >= 0
            assert "nan" not in shape.get("d", "")
    assert Page(text)


def test_the_plot_of_gains_shows_each_question_at_its_height(two_runs):
    (gains, _) = re.findall(r'<path d="([^"]*)" class="(?:gain|loss)"', html_report(two_runs))
    zero = float(re.match(r"M[\d.]+ ([\d.]+)", gains)[1])
    steps = [float(v) for v in re.findall(r"V([\d.]+)", gains)]
    scale = 77.0 / 0.7  # half the height of the frame, for the greatest gain, rounded up
    expected = [zero - scale * d for d in (0.63093, 0.36907, 0.0)]
    assert steps == pytest.approx([*expected, zero], abs=0.1)


def test_the_worst_questions_are_shown_with_what_was_found_and_what_was_not(birds, questions):
    questions = Questions(
        questions.texts | {"odd": "flurb of grassland"},
        questions.judgements | {"odd": {"penguin": 1}},
    )
    evaluation = evaluate(birds, questions, k=100)
    values = dict(zip(questions.ids, evaluation.by_question("hybrid"), strict=True))
    text = html_report(evaluation, birds, worst=2)
    articles = [Page(a).text for a in re.findall(r"<article>.*?</article>", text, re.DOTALL)]
    worst = sorted(values, key=values.get)[:2]
    assert len(articles) == 2
    for id_, article in zip(worst, articles, strict=True):
        assert article.startswith(questions.texts[id_])
        assert f"hybrid {values[id_]:.3f}" in article
        for hit in birds.search(questions.texts[id_], 5, depth=100):
            mark = "✓ " if hit.id in questions.relevant(id_) else ""
            assert f"{mark}{hit.id} {hit.text} relevance {hit.relevance:.2f}" in article
    assert "<article>" not in html_report(evaluation, birds, worst=0)


def test_a_question_that_is_answered_as_well_as_can_be_is_none_of_the_worst(two_runs, make_run):
    found = {"hover": ["elanus", "kite"], "dive": ["falcon"], "night": ["owl"], "none": ["owl"]}
    for name, shown in (("penguin", 0), ("owl", 1)):
        run = make_run("run", found | {"none": [name]})
        text = html_report(evaluate_runs([run], two_runs.questions, measures=["nDCG@10"]))
        assert text.count("<article>") == text.count("The worst questions") == shown


def test_relevant_documents_that_were_missed_are_shown_with_their_ranks(birds, make_run):
    questions = Questions(
        {"q": "?", "p": "?"}, {"q": {"owl": 1, "kite": 2, "gone": 1}, "p": {"owl": 1}}
    )
    one = make_run("one", {"q": ["falcon"], "p": ["owl"]})
    two = make_run("two", {"q": ["falcon", "owl"], "p": []})
    text = html_report(evaluate_runs([one, two], questions, measures=["MRR"]), birds, worst=1)
    (article,) = [Page(a).text for a in re.findall(r"<article>.*?</article>", text, re.DOTALL)]
    missed = article.partition("not among these:")[2].strip()
    assert missed == (
        "✓ kite The red kite soars over open hills. one: not in 10, two: not in 10 "
        "✓ gone one: not in 10, two: not in 10 "
        "✓ owl The barn owl hunts mice at night. one: not in 10, two: rank 2"
    )


def test_without_a_store_hits_have_ids_only(two_runs):
    page = Page(html_report(two_runs)).text
    assert "Nothing was found." in page
    assert "The barn owl" not in page


def test_long_texts_are_cut_between_words(make_run, embedding):
    with DocumentStore(":memory:", embedding) as store:
        store.add(["seven words " * 40, "鸢" * 500], ids=["a", "b"])
        questions = Questions({"q": "?"}, {"q": {"b": 1}})
        runs = [make_run("r", {"q": ["a"]})]
        page = Page(html_report(evaluate_runs(runs, questions, measures=["MRR"]), store)).text
    assert "seven words seven words …" in page
    assert "鸢" * 240 + " …" in page
    assert "鸢" * 241 not in page


def test_wrong_arguments_are_named(two_runs):
    with pytest.raises(ParamError, match="evaluation must be of type Evaluation"):
        html_report("x")
    with pytest.raises(ParamError, match="worst must be an integer"):
        html_report(two_runs, worst=-1)


@pytest.mark.parametrize(
    ("package", "says"),
    [("ir_measures", "the package ir-measures"), ("scipy.stats", "the package scipy")],
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, birds, questions, package, says):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{says}.*elanus\[evaluation\]"):
        text_report(evaluate(birds, questions))

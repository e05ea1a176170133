"""Settings by cross-validation: compared with a choice by hand."""

from __future__ import annotations

import dataclasses
from itertools import product

import numpy as np
import pytest

from elanus import AdaptiveRanker, DocumentStore, SearchSettings
from elanus.errors import ParamError, ReadOnlyError
from elanus.evaluation import Method, Questions, evaluate, tune
from elanus.evaluation import _tune as tuning

WORDS = ["kite", "owl", "falcon", "ice", "fish", "mice", "prey", "hill", "night", "wing"]
DEFAULTS = SearchSettings(weight=1.1, k1=1.2, b=0.75, depth=100)
ONE = {"weights": (1.1,), "k1s": (1.2,), "bs": (0.75,), "depths": (100,)}


def make_texts():
    rng = np.random.default_rng(3)
    return [" ".join(rng.choice(WORDS, rng.integers(3, 9))) for _ in range(60)]


def make_points():
    """Vectors of texts that are near where their words are alike, and far from exact."""
    rng = np.random.default_rng(4)
    words = dict(zip(WORDS, rng.normal(size=(len(WORDS), 16)), strict=True))
    means = [np.mean([words[w] for w in text.split()], axis=0) for text in make_texts()]
    return np.array(means) + rng.normal(scale=0.3, size=(60, 16))


IDS = [f"{i:02}" for i in range(60)]
ASKED = IDS[::3]


@pytest.fixture
def corpus():
    """Opens sixty documents with vectors; or a file that has them."""
    stores = []

    def make(uri=":memory:", **options):
        stores.append(DocumentStore(uri, dim=16, **options))
        if not len(stores[-1]):
            stores[-1].add(make_texts(), ids=IDS, vectors=make_points())
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def questions():
    """Twenty questions with the first words of a document each."""
    texts = make_texts()
    return Questions(
        {id_: " ".join(texts[int(id_)].split()[:3]) for id_ in ASKED}, {q: {q: 1} for q in ASKED}
    )


def near(scale):
    """Vectors of the questions: those of their documents, with noise."""
    rng = np.random.default_rng(5)
    return make_points()[::3] + rng.normal(scale=scale, size=(20, 16))


def by_hand(corpus, questions, vectors, candidates):
    """Values of each question by candidate, each in a store that was configured so."""
    store, values = corpus(), {}
    for each in candidates:
        store.configure(SearchSettings(k1=each.k1, b=each.b))
        way = Method("way", ranker=AdaptiveRanker(each.weight), depth=each.depth)
        evaluation = evaluate(store, questions, [way], vectors=vectors)
        row = evaluation.by_question("way", "nDCG@10")
        values[each] = dict(zip(questions.ids, row, strict=True))
    return values


def test_each_part_is_measured_by_what_the_others_choose(corpus, questions):
    grid = {"weights": (0.0, 4.0), "k1s": (0.3,), "bs": (0.0, 0.75), "depths": (40, 100)}
    vectors = near(0.5)
    store = corpus()
    found = tune(store, questions, **grid, vectors=vectors, folds=4)
    tried = [SearchSettings(*each) for each in product(*grid.values())]
    values = by_hand(corpus, questions, vectors, [DEFAULTS, *tried])
    means = {each: np.mean(list(row.values())) for each, row in values.items()}
    assert {c.settings: c.mean for c in found.candidates} == pytest.approx(means)
    assert (found.candidates[0].settings, found.before) == (DEFAULTS, DEFAULTS)
    held_out = {}
    for fold in found.folds:
        others = [q for q in questions.ids if q not in fold.questions]
        by_others = {each: np.mean([row[q] for q in others]) for each, row in values.items()}
        assert fold.chosen_by == pytest.approx(max(by_others.values()))
        assert by_others[fold.settings] == pytest.approx(fold.chosen_by)
        chosen, before = values[fold.settings], values[DEFAULTS]
        assert fold.held_out == pytest.approx(np.mean([chosen[q] for q in fold.questions]))
        assert fold.before == pytest.approx(np.mean([before[q] for q in fold.questions]))
        held_out |= {q: chosen[q] for q in fold.questions}
    assert sorted(held_out) == sorted(questions.ids)
    assert found.held_out == pytest.approx(np.mean(list(held_out.values())))
    assert found.usual == pytest.approx(means[DEFAULTS])
    assert found.gain.difference == pytest.approx(found.held_out - found.usual)
    assert means[found.settings] == pytest.approx(max(means.values()))
    assert found.measure == "nDCG@10"
    assert store.stats().kept == SearchSettings()


def misled(questions):
    """Questions with two words of the document that answers, and two of another one."""
    texts = [text.split() for text in make_texts()]
    mixed = {q: [*texts[int(q)][:2], *texts[(int(q) + 7) % 60][:2]] for q in questions.ids}
    return Questions({q: " ".join(each) for q, each in mixed.items()}, {q: {q: 1} for q in mixed})


def test_the_weight_that_is_known_to_be_best_is_found_and_kept(corpus, questions, tmp_path):
    path = tmp_path / "a.db"
    store = corpus(path)
    # The vectors know every answer, and the words half of it.
    grid = ONE | {"weights": (0.0, 0.3, 60.0)}
    options = {**grid, "vectors": near(0.01), "measure": "MRR"}
    wrong = misled(questions)
    looked = tune(store, wrong, **options)
    assert (looked.settings.weight, looked.is_better, looked.applied) == (60.0, True, False)
    assert store.stats().kept == SearchSettings()
    kept = tune(store, wrong, **options, apply=True)
    assert dataclasses.replace(kept, applied=False) == looked
    assert kept.applied
    assert kept.held_out == max(c.mean for c in kept.candidates) > kept.usual + 0.1
    assert store.stats().kept == dataclasses.replace(DEFAULTS, weight=60.0)
    store.close()
    with DocumentStore(path) as again:
        vector = near(0.01)[0]
        hits = again.search(wrong.texts["00"], vector=vector)
        expected = again.search(wrong.texts["00"], vector=vector, ranker=AdaptiveRanker(60.0))
        assert hits == expected
        assert hits[0].id == "00"
        once_more = tune(again, wrong, **options, apply=True)
        assert (once_more.before, once_more.applied) == (kept.settings, False)
        assert again.stats().kept == kept.settings


def test_without_a_gain_the_old_settings_stay(corpus, questions):
    store = corpus()
    store.configure(SearchSettings(weight=0.7))
    found = tune(store, questions, weights=(0.5, 0.9), k1s=(1.2,), vectors=near(0.5), apply=True)
    assert found.gain.p_value >= 0.05 or found.gain.difference <= 0
    assert (found.is_better, found.applied) == (False, False)
    assert store.stats().kept == SearchSettings(weight=0.7)
    assert found.before.weight == 0.7


def test_of_equal_candidates_the_old_one_is_chosen_and_then_the_first(corpus, questions):
    # Words alone find each of these, whatever is tried.
    only = Questions({"00": "zzqx", "03": "flurb"}, {"00": {"00": 1}, "03": {"03": 1}})
    store = corpus()
    exact = make_points()[[0, 3]]
    found = tune(store, only, vectors=exact, folds=2, measure="MRR")
    assert found.settings == DEFAULTS
    assert {fold.settings for fold in found.folds} == {DEFAULTS}
    assert found.gain.difference == 0.0


def test_a_store_without_vectors_gets_parameters_of_words(questions):
    # The documents that answer are long, and those that repeat a word are not: b = 0, k1 = 0.
    with DocumentStore(":memory:") as store:
        names = [f"w{i:02}" for i in range(20)]
        turned = names[1:] + names[:1]
        long = [f"{a} {b} " + "filler " * 40 for a, b in zip(names, turned, strict=True)]
        short = [f"{name} {name} {name}" for name in names]
        ids = [f"long{i}" for i in range(20)]
        store.add([*long, *short], ids=[*ids, *(f"short{i}" for i in range(20))])
        asked = {id_: " ".join(text.split()[:2]) for id_, text in zip(ids, long, strict=True)}
        right = Questions(asked, {id_: {id_: 1} for id_ in ids})
        found = tune(store, right, k1s=(0.0, 1.2), bs=(0.0, 1.0), measure="MRR", apply=True)
        assert (found.settings.k1, found.held_out, found.applied) == (0.0, 1.0, True)
        assert found.usual < 0.6
        assert store.stats().kept == SearchSettings(k1=0.0, b=found.settings.b)
        assert len(found.candidates) == 5
        assert all(store.search(asked[id_], mode="text")[0].id == id_ for id_ in ids)


NAMES = [f"w{i:02}" for i in range(20)]
ALONE = {"k1s": (1.2,), "bs": (0.75,), "measure": "MRR"}


@pytest.fixture
def titled(tmp_path):
    """Makes forty documents: of each name one with the title in question, and one that repeats it.

    Gives the store, and the questions that the given ones of the documents answer.
    """
    stores = []

    def make(titles, answer, others="Others"):
        stores.append(DocumentStore(tmp_path / "titled.db", title="title"))
        store = stores[-1]
        texts = [*("filler and more",) * 20, *(f"{name} {name} filler" for name in NAMES)]
        ids = [*(f"title{i}" for i in range(20)), *(f"text{i}" for i in range(20))]
        store.add(texts, [{"title": t} for t in [*titles, *[others] * 20]], ids)
        right = {f"{answer}{i}": name for i, name in enumerate(NAMES)}
        return store, Questions(right, {id_: {id_: 1} for id_ in right})

    yield make
    for store in stores:
        store.close()


def test_a_boost_that_helps_is_found_and_kept(titled, tmp_path):
    store, questions = titled(NAMES, "title")
    found = tune(store, questions, **ALONE, title_boosts=(0, 4.0), apply=True)
    means = {each.settings.title_boost: each.mean for each in found.candidates}
    # Left out, titles find nothing; by the usual boost the other document comes first.
    assert means == {0.25: 0.5, 0.0: 0.0, 4.0: 1.0}
    assert (found.settings.title_boost, found.held_out, found.applied) == (4.0, 1.0, True)
    assert store.stats().kept == SearchSettings(k1=1.2, b=0.75, title_boost=4.0)
    store.close()
    with DocumentStore(tmp_path / "titled.db") as again:
        assert all(again.search(name, mode="text")[0].id == f"title{i}"
                   for i, name in enumerate(NAMES))  # fmt: skip


def test_titles_that_mislead_are_left_out(titled):
    store, questions = titled(NAMES, "text")
    store.configure(SearchSettings(title_boost=4))
    found = tune(store, questions, **ALONE, title_boosts=(0, 5), apply=True)
    assert [each.mean for each in found.candidates] == [0.5, 1.0, 0.5]
    assert (found.usual, found.held_out, found.applied) == (0.5, 1.0, True)
    assert store.stats().kept.title_boost == 0.0


def test_a_boost_that_changes_nothing_stays_as_it_is(titled):
    store, questions = titled([""] * 20, "text")
    store.configure(SearchSettings(title_boost=0.5))
    found = tune(store, questions, k1s=(1.2,), bs=(0.75,), apply=True)
    assert [each.settings.title_boost for each in found.candidates] == [0.5, 0.0, 0.25, 1.0]
    assert {each.mean for each in found.candidates} == {1.0}
    assert (found.settings, found.is_better, found.applied) == (found.before, False, False)
    assert store.stats().kept == SearchSettings(title_boost=0.5)


def test_a_boost_counts_in_hybrid_searches_too():
    with DocumentStore(":memory:", dim=20, title="title") as store:
        points = np.eye(20)
        store.add(["filler"] * 20, [{"title": n} for n in NAMES], NAMES, np.roll(points, 1, 0))
        store.configure(SearchSettings(title_boost=4))
        questions = Questions(dict(zip(NAMES, NAMES, strict=True)), {n: {n: 1} for n in NAMES})
        found = tune(store, questions, **ALONE, weights=(1.1,), depths=(100,),
                     title_boosts=(0,), vectors=points)  # fmt: skip
        boosted, without = (each.mean for each in found.candidates)
        assert (boosted, found.settings) == (1.0, found.before)
        assert without < 0.6


def test_a_store_without_titles_has_no_boost_to_try(corpus, questions):
    found = tune(corpus(), questions, **ONE, title_boosts=(0, 1, 2), vectors=near(0.5))
    assert [each.settings for each in found.candidates] == [DEFAULTS]


def test_an_interrupted_call_changes_nothing(corpus, questions, monkeypatch):
    store = corpus()
    before = store.search("kite owl", vector=make_points()[0])

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "scores", fail)  # after the last search
    with pytest.raises(KeyboardInterrupt):
        tune(store, questions, k1s=(0.1,), vectors=near(0.5), apply=True)
    assert store.stats().kept == SearchSettings()
    assert store.search("kite owl", vector=make_points()[0]) == before


def test_who_may_only_read_may_look_but_not_keep(corpus, questions, tmp_path, monkeypatch):
    corpus(tmp_path / "a.db").close()
    store = corpus(tmp_path / "a.db", read_only=True)
    assert not tune(store, questions, **ONE, vectors=near(0.5)).applied
    monkeypatch.setattr(tuning, "run_methods", None)  # it is said before anything is searched
    with pytest.raises(ReadOnlyError):
        tune(store, questions, **ONE, vectors=near(0.5), apply=True)


def test_the_dealing_is_that_of_the_seed(corpus, questions):
    store, options = corpus(), {**ONE, "vectors": near(0.5), "folds": 3}
    one, same, other = (tune(store, questions, seed=s, **options).folds for s in (0, 0, 1))
    assert one == same
    assert [f.questions for f in one] != [f.questions for f in other]
    assert sorted(len(f.questions) for f in one) == [6, 7, 7]


def test_a_tuning_says_what_was_found(corpus, questions):
    found = tune(corpus(), misled(questions), vectors=near(0.01),
                 **ONE | {"weights": (1.1, 60)})  # fmt: skip
    said = str(found).splitlines()
    assert said[0] == "nDCG@10 of 20 questions, 2 settings tried"
    assert said[1] == f"  before    {found.usual:.4f}  weight 1.1, k1 1.2, b 0.75, depth 100"
    assert said[2] == f"  held out  {found.held_out:.4f}  each part by what the others chose"
    assert said[3].endswith("weight 60, k1 1.2, b 0.75, depth 100")
    assert said[4].endswith(": a gain; nothing was changed")
    assert said[5] == "  chosen 5 times: weight 60, k1 1.2, b 0.75, depth 100"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"weights": ()}, "weights must be there"),
        ({"weights": (0.5, 0.5)}, "weights must be there, and each once"),
        ({"weights": 0.5}, "weights must be a list"),
        ({"weights": ("x",)}, "a weight must be"),
        ({"weights": (-1,)}, "a weight must be a number from 0"),
        ({"k1s": (4,)}, "a k1 must be a number from 0 to 3"),
        ({"bs": (1.5,)}, "a b must be a number from 0 to 1"),
        ({"depths": ()}, "depths must be there"),
        ({"depths": (0,)}, "a depth must be an integer"),
        ({"title_boosts": ()}, "title_boosts must be there, and each once"),
        ({"title_boosts": (-0.5,)}, "a title_boost must be a number from 0 to 1e.06"),
        ({"measure": "x"}, "measure must be"),
        ({"folds": 1}, "folds must be an integer of at least 2"),
        ({"folds": 21}, "folds=21, but there are only 20 questions"),
        ({"seed": -1}, "seed must be an integer"),
        ({"apply": 1}, "apply must be True or False"),
    ],
)
def test_wrong_arguments_are_named(corpus, questions, arguments, says):
    with pytest.raises(ParamError, match=says):
        tune(corpus(), questions, vectors=near(0.5), **arguments)

"""Runs: what a store finds for questions, in several ways."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from elanus import DocumentStore, RRFRanker, WeightedRanker
from elanus.errors import DataNotMatchException, EmbeddingError, EmbeddingMismatchError, ParamError
from elanus.evaluation import (
    Method,
    Questions,
    Ranking,
    Run,
    evaluate,
    evaluate_runs,
    run_methods,
    usual_methods,
)

METHODS = [
    Method("hybrid"),
    Method("dense", "dense"),
    Method("text", "text"),
    Method("rrf", ranker=RRFRanker(5)),
    Method("weighted", ranker=WeightedRanker(0.2, 0.8)),
    Method("narrow", depth=2),
    Method("legs", depth={"dense": 1, "text": 3}),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_a_run_is_what_searches_find(birds, questions, method):
    (run,) = run_methods(birds, questions, [method], k=4)
    assert (run.name, run.k, run.mode) == (method.name, 4, method.mode)
    assert tuple(run.rankings) == questions.ids
    for id_, text in questions.texts.items():
        hits = birds.search(text, 4, method.mode, ranker=method.ranker, depth=method.depth)
        assert run.rankings[id_] == Ranking(
            tuple(h.id for h in hits), tuple(h.relevance for h in hits)
        )


def test_the_usual_methods_are_the_modes_that_a_store_has(birds):
    assert [(m.name, m.mode) for m in usual_methods(birds)] == [
        ("hybrid", "hybrid"),
        ("dense", "dense"),
        ("text", "text"),
    ]
    with DocumentStore(":memory:") as words:
        assert usual_methods(words) == (Method("text", "text"),)


def test_a_question_is_embedded_once_and_for_text_never(birds, embedding, questions):
    run_methods(birds, questions, [Method("text", "text")])
    assert embedding.asked == []
    run_methods(birds, questions)
    assert embedding.asked == list(questions.texts.values())


def test_many_questions_are_embedded_in_parts_and_each_keeps_its_vector(birds):
    names = ["kite", "falcon", "owl", "penguin"]
    texts = {str(i): f"{names[i % 4]} {i // 4}" for i in range(300)}
    questions = Questions(texts, {id_: {names[int(id_) % 4]: 1} for id_ in texts})
    (run,) = run_methods(birds, questions, [Method("dense", "dense")], k=1)
    assert {id_: r.ids for id_, r in run.rankings.items()} == {
        id_: (birds.search(text, 1, "dense")[0].id,) for id_, text in texts.items()
    }


@pytest.mark.filterwarnings("ignore:5 of the 5 documents")  # only the vectors count here
def test_given_vectors_take_the_place_of_a_model(questions):
    with DocumentStore(":memory:", dim=2) as store:
        store.add(["x", "y"], ids=["x", "y"], vectors=[[1, 0], [0, 1]])
        vectors = [[1, 0], [0, 1], [1, 0.5], [0.5, 1]]
        (run,) = run_methods(store, questions, [Method("d", "dense")], k=1, vectors=vectors)
        assert [run.rankings[q].ids for q in questions.ids] == [("x",), ("y",), ("x",), ("y",)]
        with pytest.raises(DataNotMatchException, match="vectors: expected 4 rows of 2 numbers"):
            run_methods(store, questions, vectors=vectors[:3])
        with pytest.raises(EmbeddingMismatchError):
            run_methods(store, questions)


@pytest.mark.parametrize("mode", ["sparse", None, np.array(["text", "dense"])])
def test_a_mode_that_is_none_is_named(birds, questions, mode):
    with pytest.raises(ParamError, match="mode must be"):
        run_methods(birds, questions, [Method("m", mode)])


def test_the_mode_of_a_run_is_a_text():
    with pytest.raises(ParamError, match="mode must be"):
        Run("r", {"q": Ranking(("d",))}, 1, np.array(["a", "b"]))


def test_a_lone_surrogate_is_asked_like_any_other(birds):
    questions = Questions({"q": "kite \ud83d"}, {"q": {"kite": 1}})
    assert "kite" in run_methods(birds, questions)[0].rankings["q"].ids


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("error", "says"),
    [
        (EmbeddingError("{text} is too much", range(72), 3), r"^texts\[131\] is too much$"),
        (
            ValueError("rate limit"),
            r"encode_queries failed with texts\[128:200\]: ValueError: rate",
        ),
    ],
)
def test_an_error_of_a_model_counts_in_all_questions(birds, embedding, error, says, late):
    error = copy.copy(error)  # which is told of one list
    questions = Questions(
        {str(i): "?" for i in range(200)}, {str(i): {"owl": 1} for i in range(200)}
    )

    def fail(texts):
        if len(embedding.asked) > 0:
            raise error
        embedding.asked += texts
        return embedding.encode_documents(texts)

    def fail_late(texts):
        yield from fail(texts)

    embedding.encode_queries = fail_late if late else fail
    with pytest.raises(EmbeddingError, match=says):
        run_methods(birds, questions)


def test_an_evaluation_of_a_store_is_that_of_its_runs(birds, questions):
    found = evaluate(birds, questions, METHODS, k=20, measures=["nDCG@3", "recall@20"])
    runs = run_methods(birds, questions, METHODS, k=20)
    again = evaluate_runs(runs, questions, measures=["nDCG@3", "recall@20"])
    assert found == again
    assert (found.values == again.values).all()
    assert found.baseline == "hybrid"
    assert found.mean("text", "recall@20") == 0.75


def test_progress_is_drawn_on_standard_error(birds, questions, capsys):
    evaluate(birds, questions, k=100, progress=True)
    assert "12 of 12 searches" in capsys.readouterr().err
    evaluate(birds, questions)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"methods": []}, "at least one method or run"),
        ({"methods": "text"}, "methods must be a list of Method"),
        ({"methods": ["text"]}, "methods must be of type Method"),
        ({"methods": [Method("a"), Method("a")]}, "two of the name 'a'"),
        ({"methods": [Method("a", ranker=5)]}, "ranker must be one of RRFRanker"),
        ({"methods": [Method("a", depth=0)]}, "depth"),
        ({"k": 0}, "k must be an integer"),
        ({"k": 5}, "nDCG@10 looks deeper than the evaluation, of which k=5"),
        ({"progress": "yes"}, "progress must be True or False"),
        ({"measures": ["x"]}, "measure must be"),
        ({"baseline": "x"}, "there is no run 'x'.*; there are hybrid, dense, text"),
    ],
)
def test_wrong_arguments_are_named(birds, questions, arguments, says):
    with pytest.raises(ParamError, match=says):
        evaluate(birds, questions, **arguments)


def test_a_method_of_an_unknown_mode_is_refused_when_it_is_made():
    with pytest.raises(ParamError, match="mode must be one of hybrid, dense, text, got 'magic'"):
        Method("a", "magic")


def test_runs_of_other_systems_are_measured_too(questions, make_run):
    found = {"hover": ["elanus", "kite"], "dive": ["owl", "falcon"], "night": [], "none": ["owl"]}
    evaluation = evaluate_runs([make_run("other", found)], questions, measures=["MRR"])
    assert evaluation.by_question("other").tolist() == [1.0, 0.5, 0.0, 0.0]


def test_a_run_without_one_of_the_questions_is_refused(questions, make_run):
    with pytest.raises(ParamError, match="run 'other' has no ranking for 'dive'"):
        evaluate_runs([make_run("other", {"hover": []})], questions, measures=["MRR"])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Ranking(("a", "b", "a")), "'a' is found more than once"),
        (lambda: Ranking(("a", "b"), (0.5,)), "1 relevances for 2 ids"),
        (lambda: Ranking("ab"), "ids must be a list of names"),
        (lambda: Ranking((1,)), "ids must be a list of names"),
        (lambda: Ranking(("a",), (1.5,)), "a relevance must be"),
        (lambda: Run("r", {"q": ("a",)}, 5), r"rankings\['q'\] must be of type Ranking"),
        (lambda: Run("r", {"q": Ranking(("a", "b"))}, 1), r"rankings\['q'\] has 2 ids; k=1"),
        (lambda: Run("r", {}, 0), "k must be an integer"),
        (lambda: Run(5, {}, 1), "name must be a string"),
        (lambda: Method(5), "name must be a string"),
    ],
)
def test_a_wrong_value_is_named(make, says):
    with pytest.raises(ParamError, match=says):
        make()


def test_what_is_wrong_is_said_before_anything_is_searched(birds, embedding, questions):
    for arguments in ({"k": 5}, {"baseline": "x"}, {"measures": []}, {"methods": []}):
        with pytest.raises(ParamError):
            evaluate(birds, questions, **arguments)
    assert embedding.asked == []


def test_runs_must_be_runs(questions):
    with pytest.raises(ParamError, match="runs must be of type Run"):
        evaluate_runs(["x"], questions)

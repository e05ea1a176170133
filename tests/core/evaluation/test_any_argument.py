"""Whatever an argument is by mistake, the error is one of ours, and short."""

from __future__ import annotations

import pytest

from elanus.evaluation import (
    Method,
    Questions,
    Ranking,
    Run,
    evaluate,
    evaluate_runs,
    html_report,
    known_item_queries,
    overlap,
    read_beir,
    reliability,
    run_methods,
    text_report,
    tune,
    usual_methods,
)


@pytest.fixture
def calls(birds, questions, make_run):
    """A call with good arguments for each public function, and which of them are tried."""
    found = {id_: ["owl"] for id_ in questions.ids}
    run = make_run("run", found, relevances=True)
    one = Questions({"q": "owl"}, {"q": {"owl": 1}})
    evaluation = evaluate_runs([run], questions, measures=["MRR"])
    ways = [Method("text", "text")]
    return {
        "Questions": (Questions, {"texts": {"q": "x"}, "judgements": {"q": {"d": 1}}, "name": "n", "made_of": ""}),
        "Method": (Method, {"name": "m", "mode": "text", "ranker": None, "depth": 5, "settings": None}),
        "Ranking": (Ranking, {"ids": ("a",), "relevances": (0.5,)}),
        "Run": (Run, {"name": "r", "rankings": {}, "k": 1, "mode": "text"}),
        "read_beir": (read_beir, {"folder": ".", "split": "test"}),
        "known_item_queries": (known_item_queries, {"documents": birds, "made_of": "title", "count": 5, "seed": 0}),
        "usual_methods": (usual_methods, {"store": birds}),
        "run_methods": (run_methods, {"store": birds, "questions": one, "methods": ways, "k": 5, "vectors": None, "progress": False}),
        "evaluate": (evaluate, {"store": birds, "questions": one, "methods": ways, "measures": ["MRR"], "baseline": "text", "k": 5, "vectors": None, "progress": False}),
        "evaluate_runs": (evaluate_runs, {"runs": [run], "questions": questions, "measures": ["MRR"], "baseline": "run"}),
        "overlap": (overlap, {"first": run, "second": run, "questions": questions, "k": 5}),
        "reliability": (reliability, {"run": run, "questions": questions, "k": 5, "bins": 5}),
        "tune": (tune, {"store": birds, "questions": questions, "weights": [0.5], "k1s": [1.0], "bs": [0.5], "depths": [50], "measure": "MRR", "folds": 2, "seed": 0, "vectors": None, "apply": False, "progress": False}),
        "text_report": (text_report, {"evaluation": evaluation}),
        "html_report": (html_report, {"evaluation": evaluation, "store": birds, "worst": 1}),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["Questions", "Method", "Ranking", "Run", "read_beir", "known_item_queries", "usual_methods",
     "run_methods", "evaluate", "evaluate_runs", "overlap", "reliability", "tune",
     "text_report", "html_report"],
)  # fmt: skip
def test_a_wrong_argument_is_an_error_of_ours(calls, refusals, name):
    call, arguments = calls[name]
    assert refusals(lambda **given: call(**arguments | given), arguments) == {}

"""What measures say: compared with their definitions in float64, and with trec_eval."""

from __future__ import annotations

import math

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from elanus.errors import ParamError
from elanus.evaluation import Questions, Ranking, Run, evaluate_runs

NAMES = ("nDCG", "nDCG@3", "recall@3", "MRR", "MRR@2", "MAP", "MAP@3", "precision@3", "success@2")
IDS = [f"d{i}" for i in range(8)]


def by_definition(name, ids, grades):
    """Each measure as its textbook formula says, in float64."""
    kind, _, cutoff = name.partition("@")
    seen = [grades.get(id_, 0) for id_ in ids][: int(cutoff) if cutoff else None]
    relevant = [grade > 0 for grade in seen]
    total = sum(grade > 0 for grade in grades.values())
    if kind == "nDCG":
        best = sorted((g for g in grades.values() if g > 0), reverse=True)
        return gain(seen) / gain(best[: int(cutoff) if cutoff else None])
    if kind == "MRR":
        return 1 / (relevant.index(True) + 1) if any(relevant) else 0.0
    if kind == "MAP":
        found = [
            sum(relevant[: i + 1]) / (i + 1) for i, is_right in enumerate(relevant) if is_right
        ]
        return sum(found) / total
    if kind == "success":
        return float(any(relevant))
    return sum(relevant) / (total if kind == "recall" else int(cutoff))


def gain(grades):
    return sum(max(grade, 0) / math.log2(rank + 1) for rank, grade in enumerate(grades, 1))


rankings = st.permutations(IDS).flatmap(
    lambda ids: st.integers(0, len(ids)).map(lambda n: tuple(ids[:n]))
)
judgements = st.dictionaries(st.sampled_from(IDS), st.integers(-1, 3), min_size=1).filter(
    lambda grades: max(grades.values()) > 0
)
judged = st.lists(st.tuples(rankings, judgements), min_size=1, max_size=5)


def evaluated(cases, names=NAMES):
    questions = Questions(
        {f"q{i}": "?" for i in range(len(cases))},
        {f"q{i}": grades for i, (_, grades) in enumerate(cases)},
    )
    run = Run("run", {f"q{i}": Ranking(ids) for i, (ids, _) in enumerate(cases)}, 10)
    return evaluate_runs([run], questions, measures=names)


@given(judged)
def test_measures_are_what_their_formulas_say(cases):
    found = evaluated(cases)
    for name in NAMES:
        expected = [by_definition(name, ids, grades) for ids, grades in cases]
        assert found.by_question("run", name).tolist() == pytest.approx(expected, abs=1e-9)
        assert found.mean("run", name) == pytest.approx(np.mean(expected), abs=1e-9)


@given(judged)
def test_measures_are_those_of_trec_eval(cases):
    theirs = {"ndcg": "nDCG", "ndcg_cut_3": "nDCG@3", "recall_3": "recall@3", "map": "MAP",
              "recip_rank": "MRR", "P_3": "precision@3", "map_cut_3": "MAP@3", "success_2": "success@2"}  # fmt: skip
    evaluator = pytrec_eval.RelevanceEvaluator(
        {str(i): grades for i, (_, grades) in enumerate(cases)},
        {"ndcg", "ndcg_cut.3", "recall.3", "map", "recip_rank", "P.3", "map_cut.3", "success.2"},
    )
    # Scores without ties, as trec_eval breaks them by id.
    run = {str(i): {d: 100.0 - n for n, d in enumerate(ids)} for i, (ids, _) in enumerate(cases)}
    said = evaluator.evaluate(run)
    found = evaluated(cases)
    for their_name, name in theirs.items():
        expected = [said.get(str(i), {}).get(their_name, 0.0) for i in range(len(cases))]
        assert found.by_question("run", name).tolist() == pytest.approx(expected, abs=1e-12)


def test_fixed_values():
    found = evaluated([(("a", "b", "c"), {"b": 2, "c": 1, "x": 1})], ["nDCG@10", "MAP", "recall@2"])
    assert found.by_question("run").tolist() == pytest.approx(
        [(2 / math.log2(3) + 1 / 2) / (2 + 1 / math.log2(3) + 1 / 2)]
    )
    assert found.by_question("run", "MAP").tolist() == pytest.approx([(1 / 2 + 2 / 3) / 3])
    assert found.by_question("run", "recall@2").tolist() == pytest.approx([1 / 3])


def test_ids_are_compared_whole_whatever_characters_they_have():
    found = evaluated([(("a\0b", "a\0c", ""), {"a\0c": 1})], ["MRR"])
    assert found.mean("run") == 0.5


def test_a_thousand_hits_keep_their_order():
    ids = tuple(f"{i:04}" for i in range(1000))
    questions = Questions({"q": "?"}, {"q": {"0999": 1}})
    found = evaluate_runs([Run("r", {"q": Ranking(ids)}, 1000)], questions, measures=["MRR"])
    assert found.mean("r") == pytest.approx(1 / 1000)


def test_names_are_taken_in_any_case_and_shown_in_one():
    found = evaluated([(("a",), {"a": 1})], ["NDCG@10", "Recall@5", "mrr", "map@3"])
    assert found.measures == ("nDCG@10", "recall@5", "MRR", "MAP@3")
    assert found.mean("run", "RECALL@5") == 1.0


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ([], "there is none"),
        ("nDCG@10", "measures must be a list of names"),
        (["magic@10"], "measure must be nDCG, recall, MRR, MAP, precision or success"),
        (["nDCG@0"], "measure must be"),
        (["nDCG@"], "measure must be"),
        (["nDCG@10 "], "measure must be"),
        ([5], "measure must be"),
        (["recall"], "'recall' needs a cutoff, as recall@10"),
        (["MRR", "mrr"], "one of them is there twice"),
        (["nDCG@11"], "nDCG@11 looks deeper than run 'run', of which k=10"),
    ],
)
def test_wrong_measures_are_named(names, says):
    with pytest.raises(ParamError, match=says):
        evaluated([(("a",), {"a": 1})], names)


def test_values_cannot_be_written_to():
    found = evaluated([(("a",), {"a": 1})], ["MRR"])
    with pytest.raises(ValueError, match="read-only"):
        found.values[0] = 1
    assert found.values.shape == (1, 1, 1)


@pytest.mark.parametrize(
    ("run", "measure", "says"),
    [("other", None, "there is no run 'other'"), ("run", "MAP", "there is no measure")],
)
def test_what_was_not_measured_is_named(run, measure, says):
    with pytest.raises(ParamError, match=says):
        evaluated([(("a",), {"a": 1})], ["MRR"]).mean(run, measure)


def test_a_grade_for_which_trec_eval_would_take_gigabytes_is_refused():
    with pytest.raises(ParamError, match="1000001"):
        Questions({"q": "?"}, {"q": {"d": 1_000_001}})
    questions = Questions({"q": "?"}, {"q": {"d": 1_000_000}})
    found = evaluate_runs([Run("r", {"q": Ranking(("d",))}, 100)], questions)
    assert found.values.min() == found.values.max() == 1.0

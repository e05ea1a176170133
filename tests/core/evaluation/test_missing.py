"""Judgements about documents that a store does not have."""

from __future__ import annotations

import pytest

from elanus.errors import ElanusWarning, ParamError
from elanus.evaluation import Questions, evaluate, run_methods, tune, usual_methods

TEXTS = {"q1": "kite", "q2": "owl"}
JUDGED = {"q1": {"kite": 1, "gone": 2, "worse": 0}, "q2": {"owl": 1, "gone": 1, "lost": 1}}
SAID = "^2 of the 4 documents that were judged relevant are not in the store, such as 'gone'"


@pytest.mark.parametrize(
    "ask",
    [evaluate, run_methods, lambda store, asked: tune(store, asked, k1s=[1.2], bs=[1], folds=2)],
    ids=["evaluate", "run_methods", "tune"],
)
def test_a_store_that_lacks_them_is_told_of_once_at_the_callers_line(birds, ask):
    with pytest.warns(ElanusWarning, match=SAID) as said:
        ask(birds, Questions(TEXTS, JUDGED))
    assert [each.filename for each in said] == [__file__]


def test_a_store_that_has_them_is_not(birds, questions, recwarn):
    evaluate(birds, questions)
    assert not recwarn.list


def test_what_has_a_store_is_told_apart_from_one(birds, questions):
    for ask in (evaluate, run_methods, tune):
        with pytest.raises(ParamError, match=r"type DocumentStore; got .*has one as \.store"):
            ask("birds.db", questions)
    with pytest.raises(ParamError, match="type DocumentStore"):
        usual_methods(birds.client)

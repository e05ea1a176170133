"""How good the answers of a store are: judged questions in, measures and reports out.

Needs the extra ``elanus[evaluation]``. ``import elanus`` does not import it.
"""

from elanus.evaluation._compare import Comparison
from elanus.evaluation._evaluate import Evaluation, evaluate, evaluate_runs
from elanus.evaluation._folder import read_beir
from elanus.evaluation._known_items import known_item_queries
from elanus.evaluation._legs import Bin, Overlap, Reliability, overlap, reliability
from elanus.evaluation._questions import Dataset, Questions
from elanus.evaluation._runs import Method, Ranking, Run, run_methods, usual_methods
from elanus.evaluation._tune import Candidate, Fold, Tuning, tune
from elanus.evaluation.report._page import html_report
from elanus.evaluation.report._text import text_report

__all__ = [
    "Bin",
    "Candidate",
    "Comparison",
    "Dataset",
    "Evaluation",
    "Fold",
    "Method",
    "Overlap",
    "Questions",
    "Ranking",
    "Reliability",
    "Run",
    "Tuning",
    "evaluate",
    "evaluate_runs",
    "html_report",
    "known_item_queries",
    "overlap",
    "read_beir",
    "reliability",
    "run_methods",
    "text_report",
    "tune",
    "usual_methods",
]

"""How good the answers of a store are: judged questions in, measures and reports out.

Needs the extra ``elanus[evaluation]``. ``import elanus`` does not import it.
"""

from elanus.evaluation._folder import read_beir
from elanus.evaluation._known_items import known_item_queries
from elanus.evaluation._questions import Dataset, Questions
from elanus.evaluation._runs import Method, Ranking, Run, run_methods, usual_methods

__all__ = [
    "Dataset",
    "Method",
    "Questions",
    "Ranking",
    "Run",
    "known_item_queries",
    "read_beir",
    "run_methods",
    "usual_methods",
]

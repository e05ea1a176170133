"""Collections kept in step with their file: transactions over storage, searches over indexes."""

from elanus.engine._database import Database, check_keys
from elanus.engine._project import Projection, fetch, make_projection
from elanus.engine._search import Hits, Leg, hybrid_search, search
from elanus.engine._select import count, select, select_keys
from elanus.engine._snapshot import Snapshot

__all__ = [
    "Database",
    "Hits",
    "Leg",
    "Projection",
    "Snapshot",
    "check_keys",
    "count",
    "fetch",
    "hybrid_search",
    "make_projection",
    "search",
    "select",
    "select_keys",
]

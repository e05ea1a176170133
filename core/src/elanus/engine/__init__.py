"""Collections kept in step with their file: transactions over storage, searches over indexes."""

from elanus.engine._database import Database
from elanus.engine._search import Hits, Leg
from elanus.engine._snapshot import Snapshot

__all__ = ["Database", "Hits", "Leg", "Snapshot"]

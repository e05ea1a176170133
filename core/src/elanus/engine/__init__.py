"""Collections kept in step with their file: transactions over storage, searches over indexes.

Here begins every call on rows: a read in `_commit`, a write in `_database`. Beside them ``saved``
has the views on disk, and ``upkeep`` the background thread, which makes graphs and codes.
"""

from elanus.engine._database import Database
from elanus.engine._search import Hits, Leg
from elanus.engine._snapshot import Snapshot
from elanus.engine._write import JsonChange

__all__ = ["Database", "Hits", "JsonChange", "Leg", "Snapshot"]

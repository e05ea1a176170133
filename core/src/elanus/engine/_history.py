"""Whether a file goes on from what a process remembers of it, or another state was put there."""

from __future__ import annotations

from elanus.storage import Connection, FileState, begin_history


class History:
    """One past of a file. What is remembered belongs to it, and is worth nothing in another.

    Args:
        name: what the file calls it (`FileState.history`); None for that of the first who looks.
    """

    def __init__(self, name: str | None = None) -> None:
        self._first: dict[str, str] = {} if name is None else {"name": name}
        self._ours: set[str] = set()

    def goes_on(self, state: FileState) -> bool:
        """Whether a state of the file is of this past."""
        name = state.history
        # In one step, as two threads may be the first.
        return self._first.setdefault("name", name) == name or name in self._ours

    def write_on(self, db: Connection, state: FileState) -> None:
        """Begin a writing transaction; ``state`` is what it sees, and of this past.

        If somebody else has changed the file, a name is given to what we make of it: others, who
        may not have looked in between, would take it for what they knew before.
        """
        if not state.is_noted:
            self._ours.add(begin_history(db).history)

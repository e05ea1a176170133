"""The one owner of a saved view's life, in a process that made it, mapped it, or threw it away.

What was saved of a collection is begun by `take_over` or `note_saved`, used up piece by piece, and
ended by `forget`. Nothing else in the engine changes any of it. The state of the collection holds
its lock around all that changes here, so that the view and what it was saved as are always replaced
together: a thread that saw the new view beside the old files would append to a file of vectors that
number the rows otherwise. Searches read `maps` without the lock, and the background thread reads
`files`; both are replaced as a whole, never changed, so either sees all of it or none.

What another may leave at any point:

* Another process saves: the files that we map stay as they are, since vectors are only appended
  and all else gets a new name; the system keeps a file that was removed while it is mapped. But
  that ours are no longer the registered ones may mean that somebody found them damaged. So
  after each commit that we follow `has_changed` asks, and a check is due if they are not.
* Another program cuts a mapped file: reading behind its end would kill the process. So each search
  looks first (`is_cut`), and long work each time that it looks whether to stop (`until_cut`).
* A fork: the child has the maps and the files, and may go on using them. A graph that the parent
  was about to put in place is still here, as it is dropped only once it is in place or was found to
  be of no use. Terms and columns are taken at once; if they are lost so, the tables are read.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from elanus.engine._parts import DenseKey
from elanus.engine.saved._saved import SLOTS, Restored, SavedFiles, SavedPart
from elanus.storage import Connection, Container, FileMap, find_saved, is_cut


class SavedView:
    """What this process holds of the saved view of one collection.

    Attributes:
        files: what is registered, as far as it numbers the slots as the view does.
        maps: of the files that the view reads from, by what they hold.
    """

    def __init__(self, lineage: str) -> None:
        self.forget(lineage)

    def forget(self, lineage: str) -> None:
        """Nothing is saved of a view that is read afresh."""
        self._begin(SavedFiles(lineage), {}, {}, {})
        self._unsaved: set[DenseKey] = set()

    def take_over(self, restored: Restored) -> None:
        """Hold what was saved by this process before, or by another one."""
        self._begin(restored.saved, restored.graphs, restored.parts, restored.maps)

    def _begin(
        self,
        files: SavedFiles,
        graphs: Mapping[DenseKey, Container],
        parts: Mapping[str, SavedPart],
        maps: Mapping[Hashable, FileMap],
    ) -> None:
        self.files = files
        self.maps = maps
        self._graphs = dict(graphs)
        self._parts = dict(parts)
        self._registered = files.name  # what was, when we last looked

    def note_saved(self, before: SavedFiles, now: SavedFiles) -> bool:
        """Remember what was saved; False if what is held changed after ``before`` was taken.

        A view that is restored again may number the rows behind the saved ones otherwise.
        """
        if self.files is not before:
            return False
        self.files, self._registered = now, now.name
        return True

    def has_changed(self, db: Connection, number: int) -> bool:
        """Whether others than the files that are mapped are registered since we last looked."""
        if self.files.name is None:
            return False
        there = find_saved(db, number).get(SLOTS)
        before, self._registered = self._registered, None if there is None else there.id
        return self._registered != before

    # --- maps ------------------------------------------------------------------------------

    def hold(self, key: Hashable, mapped: FileMap) -> None:
        """Note that a part of the view reads from a map."""
        self.maps = {**self.maps, key: mapped}

    def is_cut(self) -> bool:
        """Whether something that is mapped was made shorter: reading it would kill the process."""
        return any(map(is_cut, self.maps.values()))

    def until_cut(self, stop: Callable[[], bool]) -> Callable[[], bool]:
        """Tells whether to stop, also because something that is mapped now was made shorter."""
        maps = tuple(self.maps.values())
        return lambda: stop() or any(map(is_cut, maps))

    # --- graphs ----------------------------------------------------------------------------

    def graph(self, key: DenseKey) -> Container | None:
        """The arrays of a saved graph that was not put in place yet."""
        return self._graphs.get(key)

    def drop_graph(self, key: DenseKey, graph: Container) -> None:
        """A saved graph is in place, or of no use; another that came meanwhile stays."""
        if self._graphs.get(key) is graph:
            del self._graphs[key]

    def lacks_graph(self, key: DenseKey) -> bool:
        """Whether a graph was built, and nobody has tried to save it."""
        return key in self._unsaved

    def note_graph(self, key: DenseKey, *, is_saved: bool) -> None:
        """Remember whether the graph that is in place has still to be saved."""
        if is_saved:
            self._unsaved.discard(key)
        else:
            self._unsaved.add(key)

    # --- terms and columns -----------------------------------------------------------------

    def take(self, kind: str, lineage: str) -> SavedPart | None:
        """A saved part, by the kind of its file, once, if it numbers the slots alike."""
        saved = self._parts.pop(kind, None)
        return saved if saved is not None and saved.container.meta["lineage"] == lineage else None

    def drop(self, kind: str) -> None:
        """The file of a saved part is damaged."""
        self.files = self.files.without(kind)

    def covered(self, lineage: str) -> Mapping[str, int]:
        """How many slots of a view the saved parts cover, by the kind of their files."""
        return self.files.parts if self.files.lineage == lineage else {}

    # --- moments ---------------------------------------------------------------------------

    def moments_slots(self, key: DenseKey, lineage: str) -> int | None:
        """How many slots of a view the saved moments cover; None if its vectors are not saved."""
        if self.files.lineage != lineage or key not in self.files.matrices:
            return None
        return self.files.moments.get(key, 0)

"""What is done for collections beside their searches: restoring, checking, building, merging."""

from __future__ import annotations

from elanus.engine._parts import DenseKey, TextKey
from elanus.engine._state import CollectionState
from elanus.engine.saved._cache import SavedCache
from elanus.engine.saved._saved import Restored
from elanus.engine.upkeep._background import Background
from elanus.engine.upkeep._graphs import make_graph
from elanus.engine.upkeep._thresholds import Thresholds
from elanus.schema import IndexSpec
from elanus.storage import CacheFolder, CollectionInfo, Connection, DatabaseFile

_QUIET_SECONDS = 1.0


class BackgroundUpkeep:
    """The upkeep of one database, on one background thread.

    Args:
        file: the database.

    Attributes:
        thresholds: what is worth doing; a collection keeps those that it finds when it is first
            used, and the background thread those of the opening.
    """

    thresholds = Thresholds()

    def __init__(self, file: DatabaseFile) -> None:
        self._file = file
        folder = file.cache_folder
        self.background = Background(self.thresholds.pauses)
        self.cache = None
        if folder is not None:
            self.cache = SavedCache(file, CacheFolder(folder, read_only=file.options.read_only))

    def restore(self, db: Connection, info: CollectionInfo) -> Restored | None:
        """See `Upkeep`."""
        cache = self.cache
        if cache is None:
            return None
        restored = cache.restore(db, info)
        if info.number in cache.faulty:
            self.background.request((info.number, "repair"), lambda _: cache.repair(info.number))
        return restored

    def request_check(self, state: CollectionState) -> None:
        """See `Upkeep`."""
        cache = self.cache
        if cache is not None:
            self.background.request((state.number, "check"), lambda stop: cache.check(state, stop))

    def request_graph(self, state: CollectionState, key: DenseKey, spec: IndexSpec) -> None:
        """See `Upkeep`."""
        self.background.request(
            (state.number, key), lambda stop: make_graph(state, key, spec, self.cache, stop)
        )

    def request_merge(self, state: CollectionState, key: TextKey) -> None:
        """See `Upkeep`."""
        self.background.request((state.number, key), lambda stop: state.merge(key, stop))

    def request_save(self, state: CollectionState) -> None:
        """See `Upkeep`."""
        cache = self.cache
        if cache is not None:
            self.background.request(
                (state.number, "save"), lambda stop: cache.save_parts(state, stop), self._is_quiet
            )

    def _is_quiet(self) -> bool:
        """Whether nobody searches: what saves time later shall not take it now."""
        return self._file.idle_seconds() >= _QUIET_SECONDS

    def wait_for_graph(self, state: CollectionState, key: DenseKey) -> bool:
        """Wait until a graph was put in place, or that was tried; whether it went well."""
        return self.background.wait((state.number, key))

    def after_fork_in_child(self) -> None:
        """Forget the thread, which stayed in the parent, and the locks."""
        self.background.after_fork_in_child()
        if self.cache is not None:
            self.cache.folder.after_fork_in_child()

    def close(self) -> None:
        """Give up what is running, and release the cache folder."""
        self.background.close()
        if self.cache is not None:
            self.cache.folder.close()

"""A file that gets its name when it is whole."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from elanus.errors import StorageError


@contextmanager
def named_when_whole(target: str) -> Iterator[str]:
    """Another name to write a database to; at the end of the block it gets its own.

    Who is killed in between leaves the other one, and never half a database under the name that was
    asked for; who fails leaves nothing.

    Raises:
        FileExistsError: if there is such a file already.
        StorageError: if it cannot be named so.
    """
    # However long the target's name is.
    folder = os.path.dirname(target)  # noqa: PTH120  # names, not paths
    made = os.path.join(folder, f"backup-{os.getpid()}-{threading.get_ident()}.part")  # noqa: PTH118
    try:
        yield made
        _publish(made, target)
    finally:
        for name in (made, f"{made}-journal", f"{made}-wal", f"{made}-shm"):
            with suppress(OSError):
                os.unlink(name)  # noqa: PTH108  # names, not paths


def _publish(made: str, target: str) -> None:
    """Give a file its name, unless there is one already; a link, unlike a renaming, cannot."""
    try:
        os.link(made, target)  # names, not paths
    except FileExistsError:
        raise
    except OSError:  # a file system without links, or a name that it cannot hold
        if os.path.exists(target):  # noqa: PTH110  # as above
            raise FileExistsError(target) from None
        try:
            os.rename(made, target)  # noqa: PTH104  # as above
        except OSError as error:
            raise StorageError(f"cannot open {target}: {error.strerror}") from error

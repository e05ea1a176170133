"""A process that opens, writes, checkpoints and closes one file, and watches each of its writes.

Whatever SQLite writes into the file or its log, or cuts or deletes of them, must happen while this
process holds the writers' lock.
"""

import fcntl
import json
import os
import random
import sys
import time

import apsw

from elanus import MilvusClient

path, number, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
lock = f"{path}-cache/writer.lock"
outside, inside = [], []


def look(what):
    """Note whether the lock is held, and by this process."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = json.loads(os.read(descriptor, 512))
        (inside if holder["pid"] == os.getpid() else outside).append(what)
    else:
        outside.append(what)
    finally:
        os.close(descriptor)


class Watched(apsw.VFS):
    def __init__(self):
        self.base_name = apsw.vfs_names()[0]
        super().__init__("watched", base=self.base_name, makedefault=True)

    def xOpen(self, name, flags):  # noqa: N802  # SQLite's name
        return WatchedFile(self.base_name, name, flags)

    def xDelete(self, name, sync):  # noqa: N802  # as above
        if name.endswith("-wal"):
            look("delete the log")
        super().xDelete(name, sync)


class WatchedFile(apsw.VFSFile):
    def __init__(self, base, name, flags):
        self.kind = "log" if flags[0] & apsw.SQLITE_OPEN_WAL else "file"
        self.is_watched = bool(flags[0] & (apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_DB))
        super().__init__(base, name, flags)

    def xWrite(self, data, offset):  # noqa: N802  # as above
        if self.is_watched:
            look(f"write the {self.kind}")
        super().xWrite(data, offset)

    def xTruncate(self, size):  # noqa: N802  # as above
        if self.is_watched:
            look(f"cut the {self.kind}")
        super().xTruncate(size)


vfs = Watched()
random.seed(number)
key, end = number * 1_000_000, time.monotonic() + seconds
while time.monotonic() < end:
    with MilvusClient(path, durability="normal") as client:
        client.create_collection("rows", dimension=2)
        for _ in range(random.randrange(1, 6)):
            count = random.choice([1, 1, 3, 6000])
            client.insert(
                "rows", [{"id": key + i, "vector": [1.0, float(i)]} for i in range(count)]
            )
            key += count
            if random.random() < 0.05:
                client.compact()
        client.search("rows", [[1.0, 1.0]])
print(
    json.dumps({"outside": outside[:20], "inside": len(inside), "rows": key - number * 1_000_000})
)

"""SQLite through ``apsw`` and through Python's ``sqlite3``, in turns: the one that we use, and why.

    python benchmarks/bindings.py [--rows N] [--rounds R]

Every number is the best of the rounds, and the ratio of the two; below 1 apsw is faster.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import apsw
from _measure import machine, table

_AT_ONCE = 256
_PICKED = 10

Connect = Callable[[str], Any]


def main() -> None:
    """Measure both in turns, and print one table."""
    parser = argparse.ArgumentParser(description="apsw beside sqlite3.")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    libraries: dict[str, Connect] = {
        "apsw": apsw.Connection,
        "sqlite3": lambda path: sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=512
        ),
    }
    best: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        for turn in range(arguments.rounds):
            for name, connect in libraries.items():
                path = Path(folder) / f"{name}{turn}.db"
                for what, value in _measured(connect, path, arguments.rows):
                    found = best.setdefault(what, {})
                    found[name] = min(value, found.get(name, value))
    print(machine())
    print(f"\nSQLite {apsw.sqlite_lib_version()} and {sqlite3.sqlite_version}\n")
    rows = [
        [what, f"{v['apsw']:.3f}", f"{v['sqlite3']:.3f}", f"{v['apsw'] / v['sqlite3']:.2f}"]
        for what, v in best.items()
    ]
    print(table(["milliseconds", "apsw", "sqlite3", "ratio"], rows))


def _measured(connect: Connect, path: Path, rows: int) -> Iterator[tuple[str, float]]:
    db = connect(str(path))
    for pragma in ("page_size=16384", "journal_mode=wal", "synchronous=normal"):
        db.execute(f"PRAGMA {pragma}").fetchall()
    db.execute("CREATE TABLE r(row INTEGER PRIMARY KEY AUTOINCREMENT, pk NOT NULL UNIQUE, data)")
    yield "insert all rows", _milliseconds(lambda: _insert(db, rows))
    yield "read ten rows by number", _ten(db, rows)
    with _busy_thread():
        yield "the same beside a busy thread", _ten(db, rows)
    yield "read all rows", _milliseconds(lambda: db.execute("SELECT row, data FROM r").fetchall())
    yield "read ten rows 400 times in each of two threads", _two_threads(connect, path, rows)
    yield "commit one row", median(_milliseconds(lambda: _commit(db)) for _ in range(200))
    yield "VACUUM", _milliseconds(lambda: db.execute("VACUUM"))
    yield "backup", _milliseconds(lambda: _backup(db, path.with_suffix(".copy")))
    memory = connect(":memory:")
    memory.execute("CREATE TABLE r(row INTEGER PRIMARY KEY, pk, data)")
    yield "insert all rows in :memory:", _milliseconds(lambda: _insert(memory, rows))
    memory.close()
    db.close()


def _milliseconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000


def _insert(db: Any, rows: int) -> None:
    blob = os.urandom(1000)
    statement = f"INSERT INTO r VALUES {','.join(['(?, ?, ?)'] * _AT_ONCE)}"
    db.execute("BEGIN IMMEDIATE")
    for start in range(1, rows, _AT_ONCE):
        db.execute(statement, [v for n in range(start, start + _AT_ONCE) for v in (n, n, blob)])
    db.execute("COMMIT")


def _ten(db: Any, rows: int, times: int = 1000) -> float:
    statement = f"SELECT row, data FROM r WHERE row IN ({','.join('?' * _PICKED)})"
    picks = [random.sample(range(1, rows), _PICKED) for _ in range(times)]
    read = partial(db.execute, statement)
    return median(_milliseconds(lambda pick=pick: dict(read(pick))) for pick in picks)


@contextmanager
def _busy_thread() -> Iterator[None]:
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            sum(range(1000))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _two_threads(connect: Connect, path: Path, rows: int) -> float:
    def read() -> None:
        db = connect(str(path))
        _ten(db, rows, 400)
        db.close()

    def both() -> None:
        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return _milliseconds(both)


def _commit(db: Any) -> None:
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO r(pk, data) SELECT max(row) + 1, zeroblob(1000) FROM r")
    db.execute("COMMIT")


def _backup(db: Any, target: Path) -> None:
    if isinstance(db, apsw.Connection):
        copy = apsw.Connection(str(target))
        with copy.backup("main", db, "main") as backup:
            backup.step()
    else:
        copy = sqlite3.connect(target)
        db.backup(copy)
    copy.close()


if __name__ == "__main__":
    main()

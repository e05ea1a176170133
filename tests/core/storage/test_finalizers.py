"""Finalizers: of what is half made, and those that call us in the middle of a call of ours."""

import gc
import signal
import sys
import threading
import time
from functools import partial

import pytest

from elanus import MilvusClient
from elanus.aio import Worker
from elanus.errors import DatabaseLockedError
from elanus.storage.file._apart import Apart
from elanus.storage.file._lock import WriterLock


class Cycle:
    """Makes a call when the collector comes."""

    def __init__(self, call):
        self.me, self.call = self, call

    def __del__(self):
        self.call()


@pytest.fixture
def unraisable(monkeypatch):
    """What finalizers raise."""
    raised = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: raised.append(told.exc_value))
    return raised


def in_thread(call):
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.parametrize("where", ["file", "memory", "another client"])
def test_a_write_inside_a_write_of_its_own_thread_is_refused_at_once(
    client, path, world, unraisable, where
):
    opened = MilvusClient(":memory:") if where == "memory" else client
    writer = MilvusClient(path) if where == "another client" else opened
    if where == "memory":
        world.create(opened)
    took = []

    def write():
        with opened._database.file.write("insert") as db:
            db.execute("SELECT 1")
            begun = time.monotonic()
            Cycle(lambda: writer.insert(world.NAME, world.rows(200, 210)))
            gc.collect()
            took.append(time.monotonic() - begun)

    before = world.keys(opened)
    in_thread(write)
    [error] = unraisable
    assert isinstance(error, DatabaseLockedError)
    assert "cannot insert" in str(error)
    assert "a finalizer (__del__) asks for it in the middle of another write" in str(error)
    assert took[0] < 5  # the timeout is 30
    assert world.keys(opened) == before
    in_thread(lambda: writer.insert(world.NAME, world.rows(200, 203)))
    assert world.keys(opened) == [*before, 200, 201, 202]
    for other in {opened, writer} - {client}:
        other.close()


def test_a_finalizer_may_close_and_open_a_file_in_the_middle_of_a_write(
    client, path, world, unraisable
):
    def open_and_close():
        with MilvusClient(path) as other:
            seen.append(len(world.keys(other)))

    def write():
        with client._database.file.write("insert") as db:
            db.execute("SELECT 1")
            Cycle(open_and_close)
            gc.collect()

    seen = []
    in_thread(write)
    assert (seen, unraisable) == ([100], [])


def test_a_finalizer_on_the_background_thread_does_not_wait_for_it(client):
    background, done = client._database._upkeep.background, []

    def work(_stop):
        Cycle(lambda: done.append(background.wait("work")))
        gc.collect()

    background.request("work", work)
    background.wait("work")
    assert done == [False]


class Struck(Exception):
    """What the handler raises."""


def strike(*_):
    raise Struck


@pytest.mark.parametrize("made", ["worker", "lock", "apart"])
def test_what_a_handler_has_left_half_made_is_collected_in_silence(tmp_path, unraisable, made):
    kind, make = {
        "worker": (Worker, partial(Worker, "half")),
        "lock": (WriterLock, partial(WriterLock, tmp_path / "cache" / "writer.lock")),
        "apart": (Apart, Apart),
    }[made]
    code, left = kind.__init__.__code__, 0

    def trace(frame, event, _):
        nonlocal left
        if frame.f_code is not code:
            return None
        left -= event == "line"
        if left == 0 and event == "line":
            signal.raise_signal(signal.SIGUSR1)
        return trace

    lines, struck = 0, True
    before = signal.signal(signal.SIGUSR1, strike)
    try:
        while struck:
            lines += 1
            left, struck = lines, False
            sys.settrace(trace)
            try:
                make()
            except Struck:
                struck = True
            finally:
                sys.settrace(None)
            gc.collect()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert unraisable == []
    assert lines > 3

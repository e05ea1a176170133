"""A system that refuses to lock, to unlock or to say what it has locked: nothing stays locked."""

import errno
import os
import socket
import threading

import pytest

from elanus import MilvusClient
from elanus.errors import StorageError
from elanus.storage.file._lock import WriterLock

fcntl = pytest.importorskip("fcntl", reason="Windows has other locks")


class Failing:
    """A call of the system that fails where it is told to, and works otherwise."""

    def __init__(self, real, number, times, *, only):
        self.real, self.number, self.times, self.only = real, number, times, only
        self.failed = 0

    def __call__(self, *arguments):
        if self.failed < self.times and self.only(*arguments):
            self.failed += 1
            raise OSError(self.number, os.strerror(self.number))
        return self.real(*arguments)


def unlocks(_, operation):
    return operation == fcntl.LOCK_UN


def fail_unlocking(monkeypatch, times):
    failing = Failing(fcntl.flock, errno.EIO, times, only=unlocks)
    monkeypatch.setattr(fcntl, "flock", failing)
    return failing


def take_and_release(path):
    """Whether another handle gets the lock at once, in another thread."""
    got = []

    def take():
        other = WriterLock(path)
        got.append(other.acquire(0.0, "look"))
        if got == [True]:
            other.release()
        other.close()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join(timeout=60)
    return got == [True]


@pytest.mark.parametrize("times", [1, 2, 1_000])
def test_a_commit_is_acknowledged_though_unlocking_fails(client, path, world, monkeypatch, times):
    """Of the first turn fails the queue's unlocking, then that of the lock, then all."""
    with monkeypatch.context() as patch:
        failing = fail_unlocking(patch, times)
        client.insert(world.NAME, world.rows(100, 101))
        client.insert(world.NAME, world.rows(101, 102))
        assert failing.failed >= min(times, 4)
        with MilvusClient(path, timeout=0) as other:
            other.insert(world.NAME, world.rows(102, 103))
        client.insert(world.NAME, world.rows(103, 104))
    assert world.keys(client) == list(range(104))


def test_a_lock_that_cannot_be_unlocked_nor_closed_is_free_all_the_same(tmp_path, monkeypatch):
    path, real = tmp_path / "writer.lock", os.close
    lock = WriterLock(path)

    def close(descriptor):
        real(descriptor)  # as Linux does, whatever it says
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    assert lock.acquire(0.0, "write")
    assert not take_and_release(path)
    with monkeypatch.context() as patch:
        fail_unlocking(patch, 1)
        patch.setattr(os, "close", close)
        lock.release()
    assert not lock.is_held_here()
    assert take_and_release(path)
    assert lock.acquire(0.0, "write again")
    lock.release()
    lock.close()


def test_a_descriptor_that_the_server_has_forgotten_is_opened_anew(
    client, path, world, monkeypatch
):
    with monkeypatch.context() as patch:
        failing = Failing(os.fstat, errno.ESTALE, 1, only=lambda _: True)
        patch.setattr(os, "fstat", failing)
        client.insert(world.NAME, world.rows(100, 101))
        assert failing.failed == 1
    assert world.keys(client) == list(range(101))


def test_a_lock_of_which_the_system_never_says_what_it_is_refuses_and_stays_free(
    client, path, world, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", Failing(os.fstat, errno.ESTALE, 1_000, only=lambda _: True))
        with pytest.raises(StorageError, match=r"cannot lock .*writer\.lock: each time"):
            client.insert(world.NAME, world.rows(100, 101))
    with MilvusClient(path, timeout=0) as other:
        other.insert(world.NAME, world.rows(200, 201))
    client.insert(world.NAME, world.rows(300, 301))
    assert world.keys(client) == [*range(100), 200, 300]


def test_a_handler_that_strikes_after_the_lock_was_taken_lets_go_of_it(tmp_path, monkeypatch):
    path = tmp_path / "writer.lock"
    lock = WriterLock(path)

    def struck(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", struck)
        with pytest.raises(KeyboardInterrupt):
            lock.acquire(0.0, "write")
    assert take_and_release(path)
    lock.close()


def test_a_host_that_does_not_know_its_name_writes(tmp_path, monkeypatch):
    lock = WriterLock(tmp_path / "writer.lock")
    monkeypatch.setattr(socket, "gethostname", Failing(None, errno.EPERM, 1_000, only=lambda: True))
    assert lock.acquire(0.0, "write")
    assert lock.holder().startswith(f"process {os.getpid()} on a host without a name (write, since")
    lock.release()
    lock.close()


def test_closing_lets_go_of_all_files_though_nothing_can_be_locked(path, world, monkeypatch):
    client = MilvusClient(path)
    world.create(client)
    client.insert(world.NAME, world.rows(3))
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", Failing(None, errno.EIO, 1_000, only=lambda *_: True))
        client.close()
    assert world.descriptors(path) == []
    with MilvusClient(path) as again:
        assert world.keys(again) == [0, 1, 2]

"""What says nothing about the file: a signal handler's errors, too little memory, a full stack."""

import os
import sys
import threading
from collections import Counter
from pathlib import Path

import apsw
import orjson
import pytest

import elanus
from elanus import MilvusClient, _shown
from elanus.errors import DatabaseCorruptError, StorageError, shown
from elanus.storage import Apart, decode_row, ending, faults
from elanus.storage._sqlite import InterruptError
from elanus.storage.file import _apart
from elanus.storage.tables import _catalogue, _verify

ROOMS = tuple(f"{Path(elanus.__file__).parent / room}{os.sep}" for room in ("storage", "engine"))


class Struck(RuntimeError):
    """What a handler raises: of a class that decoding damaged bytes could raise as well."""


def outcome(number, call):
    """What a call comes to that is struck as a function of ours begins; None if so few begin.

    A trace function stands in for a signal: it sees the main thread only, as a handler does.
    """
    left = number

    def trace(frame, *_):
        nonlocal left
        left -= frame.f_code.co_filename.startswith(ROOMS)
        if left == 0:
            sys.settrace(None)
            raise Struck("deadline")

    sys.settrace(trace)
    try:
        result = call()
    except Exception as error:  # noqa: BLE001  # each is compared
        result = error
    finally:
        sys.settrace(None)
    return None if left > 0 else result


def every_outcome(call):
    """What a call comes to, wherever it is struck, and how often."""
    found, number = Counter(), 1
    while (came := outcome(number, call)) is not None:
        found[f"{came!r:.200}"] += 1
        number += 1
    return found


def test_a_handlers_error_is_no_fault_of_the_file_that_is_verified(client):
    found = every_outcome(client.verify)
    assert set(found) == {"Struck('deadline')"}
    assert found.total() > 3


# What strikes a finalizer is printed by Python, and the call goes on.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_handlers_error_is_no_damage_of_the_catalogue_that_is_read(client, path):
    def reopen():
        with MilvusClient(path, read_only=True) as other:
            return other.get_collection_stats("rows")

    found = every_outcome(reopen)
    assert set(found) <= {"Struck('deadline')", "{'row_count': 100}"}
    assert found["Struck('deadline')"] > 100


def test_a_handlers_error_is_no_lack_of_threads(monkeypatch):
    real = _apart.start_new_thread

    def strike_once(*args):
        monkeypatch.setattr(_apart, "start_new_thread", real)
        raise Struck("deadline")

    monkeypatch.setattr(_apart, "start_new_thread", strike_once)
    apart = Apart()
    with pytest.raises(Struck, match="deadline"):
        apart.run(lambda: 1)
    assert apart.run(lambda: 2) == 2
    apart.close()
    thread = threading.Thread()
    monkeypatch.setattr(thread, "start", strike_once)
    with pytest.raises(Struck, match="deadline"):
        ending.begin(thread)


def test_a_handlers_error_in_the_middle_of_a_message_is_not_lost(monkeypatch):
    def strike(*_):
        raise Struck("deadline")

    monkeypatch.setattr(_shown, "_by_type", strike)
    for plain in ("text", 1, None, [1], {"a": 1}):
        with pytest.raises(Struck, match="deadline"):
            shown(plain)
    assert shown(object()) == "a value that cannot be shown (object)"


def with_a_stack_of(frames, call):
    """What a call comes to if so many more fit on the stack of Python."""

    def deeper(count):
        return deeper(count - 1) if count else call()

    frame, depth = sys._getframe(), 0
    while frame:
        frame, depth = frame.f_back, depth + 1
    try:
        return deeper(sys.getrecursionlimit() - depth - frames)
    except Exception as error:  # noqa: BLE001  # each is compared
        return type(error)


@pytest.mark.parametrize("where", ["main", "other"])
def test_a_full_stack_is_no_damage(client, path, where):
    found = []

    def reopen():
        with MilvusClient(path, read_only=True) as other:
            return other.get_collection_stats("rows")["row_count"]

    def each():
        found.extend(with_a_stack_of(frames, reopen) for frames in range(4, 70))

    thread = threading.Thread(target=each)
    if where == "main":
        each()
    else:
        thread.start()
        thread.join()
    assert set(found) == {RecursionError, 100}


def test_a_call_that_a_full_stack_keeps_from_being_sent_raises_and_later_ones_run():
    found = []
    for frames in range(4, 30):
        apart = Apart()
        found.append(with_a_stack_of(frames, lambda each=apart: each.run(lambda: 1)))
        assert apart.run(lambda: 2) == 2
        assert apart._waiting == []
        apart.close()
    assert set(found) == {RecursionError, 1}


REFUSALS = {
    "Python": (MemoryError("no more"), MemoryError, "no more"),
    "SQLite": (apsw.NoMemError("out of memory"), StorageError, "too little memory for reading"),
    "stack": (RecursionError("too deep"), RecursionError, "too deep"),
}


@pytest.mark.parametrize("case", REFUSALS)
@pytest.mark.parametrize("checked", ["_state_faults", "_collection_faults"])
def test_too_little_memory_is_no_fault(client, monkeypatch, case, checked):
    error, kind, said = REFUSALS[case]

    def refuse(*_):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(_verify, checked, refuse)
        with pytest.raises(kind, match=said) as raised:
            client.verify()
    assert not isinstance(raised.value, DatabaseCorruptError)


def test_too_little_memory_is_no_damage_of_the_catalogue(client, path, monkeypatch):
    def refuse(*_):
        raise MemoryError("no more")

    with monkeypatch.context() as patched, MilvusClient(path) as other:
        patched.setattr(_catalogue, "_collection", refuse)
        with pytest.raises(MemoryError, match="no more"):
            other.list_collections()


@pytest.mark.parametrize("code", [7, 3082])
def test_a_page_that_finds_no_memory_is_no_damaged_page(code):
    class Says:
        def execute(self, _):
            yield (f"Tree 5 page 70: unable to get the page. error code={code}",)

    with pytest.raises(MemoryError, match=f"error code={code}"):
        list(_verify._guarded("SQLite", _verify._pages(Says())))


def test_json_that_finds_no_memory_is_no_damaged_row(monkeypatch):
    def refuse(data):
        raise orjson.JSONDecodeError("Not enough memory to allocate buffer for parsing", "", 0)

    monkeypatch.setattr(orjson, "loads", refuse)
    with pytest.raises(MemoryError, match="row 5 of the file: Not enough memory"):
        decode_row(5, b"{}")


def test_checking_a_file_ends_when_it_is_given_up(client, world):
    client.insert(world.NAME, world.rows(100, 2000))
    with client._database.file.read() as db:
        with pytest.raises(InterruptError):
            faults(db, lambda: True)
        assert faults(db, lambda: False) == []

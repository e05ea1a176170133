"""Starting a thread while a signal handler raises."""

import threading

import pytest

from elanus.storage import ending


class Interrupted(Exception):
    pass


class Stumbling(threading.Thread):
    """A handler raises after the thread began, and threading fails over that in turn."""

    def start(self):
        error = KeyError(self)
        error.__context__ = Interrupted()
        raise error


def test_what_a_handler_raises_while_a_thread_begins_comes_out():
    with pytest.raises(Interrupted):
        ending.begin(Stumbling())


def test_a_thread_begins():
    seen = threading.Event()
    thread = threading.Thread(target=seen.set)
    ending.begin(thread)
    thread.join()
    assert seen.is_set()
    with pytest.raises(RuntimeError):
        ending.begin(thread)

"""The background thread: callable from signal handlers, tries again, and is gone after a fork."""

import os
import signal
import sys
import threading
import time

import pytest

from elanus.engine.upkeep import _background
from elanus.engine.upkeep._background import Background
from elanus.engine.upkeep._thresholds import Pauses

SHORT = Pauses(first=0.01, start=0.1)


@pytest.fixture
def background():
    made = Background(Pauses(first=0.01))
    yield made
    made.close()


def test_work_that_fails_is_tried_again_and_again(background):
    turns = []

    def work(_):
        turns.append(1)
        if len(turns) < 4:
            raise OSError("not yet")

    background.request("a", work)
    while not background.wait("a"):
        pass
    assert len(turns) == 4
    background.request("a", work)
    assert background.wait("a")
    assert len(turns) == 5


def test_work_that_always_fails_keeps_nobody_waiting_and_lets_other_work_through(background):
    failed, done = [], []

    def fail(_):
        failed.append(1)
        raise ValueError("never")

    background.request("bad", fail)
    for number in range(20):
        assert not background.wait("bad")
        background.request(number, lambda _, number=number: done.append(number))
        assert background.wait(number)
    assert done == list(range(20))
    assert len(failed) >= 20


def test_the_pause_doubles_up_to_a_minute():
    background = Background()
    background.request("bad", lambda _: 1 / 0)
    task = background._tasks["bad"]
    while task.failures < 9:
        background.wait("bad")
        pause = task.due - time.monotonic()
        assert pause == pytest.approx(min(2 ** (task.failures - 1), 60), abs=1)
    background.close()


def test_what_waits_for_a_quiet_moment_is_done_at_closing_unless_it_takes_too_long():
    done = []
    background = Background()
    background.request("save", lambda stop: done.append((stop(), stop.is_late())), lambda: False)
    background.close()
    assert done == [(True, False)]
    background = Background(Pauses(grace=-1.0))
    background.request("save", lambda stop: done.append((stop(), stop.is_late())), lambda: False)
    background.close()
    assert done[1:] == [(True, True)]


def test_closing_twice_and_asking_a_closed_one_is_harmless(background):
    background.request("a", lambda _: None)
    background.wait("a")
    background.close()
    background.close()
    background.request("b", lambda _: pytest.fail("ran"))
    assert not background.wait("b")


def test_work_may_close_and_wait_for_others_and_ask_for_more(background):
    done = threading.Event()

    def work(_):
        background.request("more", lambda _: None)
        background.close()
        done.set()

    background.request("a", work)
    assert done.wait(60)


def test_without_a_thread_nothing_fails_and_later_work_is_done(background, monkeypatch):
    done = []

    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as broken:
        broken.setattr(threading.Thread, "start", refuse)
        background.request("a", lambda _: done.append(1))
        assert not background.wait("a")
    assert background.wait("a")
    assert done == [1]


@pytest.mark.parametrize("action", ["close", "wait", "request"])
def test_a_handler_may_call_it_at_any_line_of_a_call_under_it(action):
    """A trace function stands in for a signal, which comes between any two steps."""
    calls = {
        "first": lambda b: b.request("a", lambda _: time.sleep(0.001)),
        "request": lambda b: b.request("x", lambda _: None),
        "wait": lambda b: b.wait("a"),
        "close": lambda b: b.close(),
    }
    for outer, call in calls.items():
        step = 0
        reached = True
        while reached:
            reached = False
            step += 1
            background = Background(SHORT)
            if outer != "first":
                calls["first"](background)
            left = [step]

            def trace(frame, event, _, background=background, left=left):
                nonlocal reached
                inside = frame.f_code.co_filename in (_background.__file__, threading.__file__)
                if not inside or threading.current_thread() is not threading.main_thread():
                    return trace
                frame.f_trace_opcodes = True
                if event == "opcode":
                    left[0] -= 1
                    if left[0] == 0:
                        reached = True
                        sys.settrace(None)
                        calls[action](background)
                return trace

            sys.settrace(trace)
            try:
                call(background)
            finally:
                sys.settrace(None)
            background.close()
        assert step > 5


def test_a_real_handler_that_closes_never_hangs():
    repeats = int(os.environ.get("ELANUS_REPEATS", "5")) * 20
    for turn in range(repeats):
        background = Background()
        before = signal.signal(signal.SIGALRM, lambda *_, b=background: b.close())
        signal.setitimer(signal.ITIMER_REAL, 0.00002 * (turn % 100 + 1))
        number = 0
        while not background.is_closed:
            number += 1
            background.request(number % 3, lambda _: None)
            background.wait(number % 3)
        signal.signal(signal.SIGALRM, before)
    assert "elanus-background" not in {t.name for t in threading.enumerate()}


@pytest.mark.parametrize("state", ["idle", "working", "closed"])
def test_a_child_begins_anew(background, state):
    began, go_on = threading.Event(), threading.Event()
    background.request("a", lambda _: (began.set(), go_on.wait(60)))
    assert began.wait(60)
    if state != "working":
        go_on.set()
        background.wait("a")
    if state == "closed":
        background.close()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(60)
            done = []
            background.request("a", lambda _: done.append(1))
            background.wait("a")
            background.close()
            code = 0 if done == ([] if state == "closed" else [1]) else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    go_on.set()
    assert os.waitstatus_to_exitcode(status) == 0

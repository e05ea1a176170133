"""Work on all cores: results, what becomes of BLAS's own threads, errors, signals and forks."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from elanus_embeddings import MiniLMEmbeddingFunction, _cores
from elanus_embeddings._cores import spread

ITEMS = list(range(50))


def blas_threads():
    """Threads of numpy's BLAS; SciPy may have brought another one."""
    found = [i for i in threadpool_info() if i["user_api"] == "blas"]
    numpys = [i for i in found if "numpy" in i["filepath"]] or found
    return {i["num_threads"] for i in numpys}


class Others:
    def __init__(self, load):
        self.load = load

    def of_others(self):
        return self.load


@pytest.fixture(autouse=True)
def _many_cores(monkeypatch):
    """Three threads, whatever this machine has, and nothing left behind."""
    monkeypatch.setattr(_cores, "thread_count", lambda: 3)
    monkeypatch.setattr(_cores, "_load", Others(math.inf))
    before = blas_threads()
    yield
    deadline = time.monotonic() + 60  # threads whose caller has left end when their item is done
    while blas_threads() != before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert blas_threads() == before


def test_every_item_is_done_once():
    done = list(spread(lambda n: n * n, ITEMS))
    assert sorted(done) == [(i, i * i) for i in ITEMS]
    assert list(spread(lambda n: n, [])) == []


def test_no_more_threads_work_than_there_are_cores_or_items():
    names = {name for _, name in spread(lambda _: threading.get_ident(), ITEMS)}
    assert threading.get_ident() not in names
    assert 1 <= len(names) <= 3
    meet = threading.Barrier(3)
    places = [place for place, _ in spread(lambda _: meet.wait(timeout=60), ITEMS[:3])]
    assert sorted(places) == [0, 1, 2]


def test_blas_has_one_thread_while_there_is_work_and_its_own_again_afterwards():
    before = blas_threads()
    seen = [found for _, found in spread(lambda _: blas_threads(), ITEMS)]
    assert set.union(*seen) == {1}
    assert blas_threads() == before


def test_calls_that_overlap_leave_blas_as_the_first_one_found_it():
    before = blas_threads()
    inside, leave = threading.Semaphore(0), [threading.Event() for _ in range(4)]

    def stay(number):
        inside.release()
        assert leave[number].wait(timeout=60)
        return blas_threads()

    seen = []
    calls = [threading.Thread(target=lambda n=n: seen.extend(spread(stay, [n]))) for n in range(4)]
    for call in calls:
        call.start()
        assert inside.acquire(timeout=60)
    for number in (0, 2, 1, 3):
        leave[number].set()
        calls[number].join(timeout=60)
    assert [found for _, found in seen] == [{1}] * 4
    assert blas_threads() == before


@pytest.mark.parametrize(("load", "is_left"), [(0.0, True), (0.4, True), (0.5, False), (3, False)])
def test_a_single_item_is_left_to_blas_where_nobody_else_wants_a_core(monkeypatch, load, is_left):
    monkeypatch.setattr(_cores, "_load", Others(load))
    before, me = blas_threads(), threading.get_ident()
    ((_, seen),) = spread(lambda _: (threading.get_ident(), blas_threads()), [0])
    assert (seen == (me, before)) is is_left
    if not is_left:
        assert seen[1] == {1}
    several = [found for _, found in spread(lambda _: blas_threads(), ITEMS)]
    assert set.union(*several) == {1}


def test_of_two_single_items_at_once_none_has_more_than_one_thread_of_blas(monkeypatch):
    monkeypatch.setattr(_cores, "_load", Others(0.0))
    inside, leave = threading.Event(), threading.Event()

    def stay(_):
        inside.set()
        assert leave.wait(timeout=60)
        return blas_threads()

    first = []
    call = threading.Thread(target=lambda: first.extend(spread(stay, [0])))
    call.start()
    assert inside.wait(timeout=60)
    second = list(spread(lambda _: (leave.set(), call.join(60), blas_threads())[-1], [0]))
    assert [found for _, found in (*first, *second)] == [{1}, {1}]
    assert _cores._calls == {}


def test_the_load_of_others_is_the_system_s_without_our_own(monkeypatch):
    clock = {"now": 100.0, "spent": 5.0, "load": 0.0}
    monkeypatch.setattr(_cores.time, "monotonic", lambda: clock["now"])
    monkeypatch.setattr(_cores.time, "process_time", lambda: clock["spent"])
    monkeypatch.setattr(os, "getloadavg", lambda: (clock["load"], 9, 9), raising=False)
    load = _cores._Load()
    for second in range(300):  # one core is ours all the time, and a second one another's
        clock["now"] += 1
        clock["spent"] += 1
        clock["load"] = 2 * (1 - math.exp(-(second + 1) / 60))
        expected = 1 - math.exp(-(second + 1) / 60)
        assert load.of_others() == pytest.approx(expected, abs=1e-9)
        assert load.of_others() == pytest.approx(expected, abs=1e-9)  # at the same moment
    clock["spent"] = 0  # in a forked child
    clock["now"] += 1
    assert load.of_others() == pytest.approx(clock["load"] - math.exp(-1 / 60), abs=0.01)
    monkeypatch.delattr(os, "getloadavg")
    assert load.of_others() == math.inf


def test_a_setting_of_the_caller_s_own_holds():
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        list(spread(lambda n: n, ITEMS))
        assert blas_threads() == before


def test_an_error_is_raised_where_the_results_are_waited_for_and_ends_the_work():
    done = []

    def fail(number):
        if number == 5:
            raise MemoryError("no more")
        done.append(number)
        time.sleep(0.001)

    with pytest.raises(MemoryError, match="no more"):
        list(spread(fail, list(range(5000))))
    assert len(done) < 4000


def test_whoever_leaves_early_stops_the_work():
    done = []
    results = spread(lambda n: (time.sleep(0.001), done.append(n)), list(range(5000)))
    next(results)
    results.close()
    assert len(done) < 4000


def test_work_is_done_by_the_caller_if_no_thread_can_be_started(monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_cores, "start_new_thread", refuse)
    mine = threading.get_ident()
    assert list(spread(lambda n: (n, threading.get_ident()), ITEMS)) == [
        (i, (i, mine)) for i in ITEMS
    ]


def test_vectors_do_not_depend_on_the_number_of_threads(minilm, monkeypatch):
    texts = [f"{'word ' * (7 * i % 60)}number {i}" for i in range(80)]
    several = minilm.encode_documents(texts)
    monkeypatch.setattr(_cores, "thread_count", lambda: 1)
    assert np.abs(minilm.encode_documents(texts) - several).max() < 1e-6


def _run(script):
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


CHILD = """
import os, signal, sys, threading, time
from threadpoolctl import threadpool_info
from elanus_embeddings import _cores
_cores.thread_count = lambda: 2
def blas(): return [i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"]
before, mine = blas(), os.getpid()
def work(n):
    time.sleep(0.01)
    return n
def check():
    assert blas() == before, (blas(), before)
    assert sorted(_cores.spread(work, range(9))) == [(i, i) for i in range(9)]
    assert blas() == before, (blas(), before)
def reap(child):
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def test_a_fork_beside_the_work_leaves_both_sides_whole():
    _run(
        CHILD
        + """
for _ in range(10):
    beside = threading.Thread(target=lambda: list(_cores.spread(work, range(30))))
    beside.start()
    time.sleep(0.02)
    child = os.fork()
    if child == 0:
        check()
        os._exit(0)
    reap(child)
    beside.join()
check()
"""
    )


def test_a_handler_that_forks_and_returns_leaves_both_sides_whole():
    _run(
        CHILD
        + """
children = []
def fork(*_):
    children.append(os.fork())
signal.signal(signal.SIGALRM, fork)
signal.setitimer(signal.ITIMER_REAL, 0.03)
assert sorted(_cores.spread(work, range(30))) == [(i, i) for i in range(30)]
check()
if os.getpid() != mine:
    os._exit(0)
assert len(children) == 1
reap(children[0])
"""
    )


def test_a_handler_that_raises_ends_the_call_and_leaves_blas_as_it_was():
    _run(
        CHILD
        + """
class Stop(Exception): pass
def stop(*_): raise Stop
signal.signal(signal.SIGALRM, stop)
for moment in [*(2e-3 * (i + 1) for i in range(20)), *(1e-6 * (i + 1) for i in range(500))]:
    try:
        signal.setitimer(signal.ITIMER_REAL, moment)
        list(_cores.spread(work, range(100)))
    except Stop:
        pass
    else:
        raise AssertionError("it went on")
deadline = time.monotonic() + 30
while blas() != before and time.monotonic() < deadline:
    time.sleep(0.01)
check()
"""
    )


def test_the_end_of_the_interpreter_does_not_wait_for_a_call_of_a_daemon():
    _run(
        CHILD
        + """
threading.Thread(target=lambda: list(_cores.spread(work, range(100_000))), daemon=True).start()
time.sleep(0.05)
"""
    )


def test_two_threads_embed_at_once_and_blas_is_as_before():
    before = blas_threads()
    one = MiniLMEmbeddingFunction()
    texts = [f"glacier {i}" for i in range(40)]
    expected, got = one(texts), [None] * 4

    def embed(i):
        got[i] = one(texts)

    threads = [threading.Thread(target=embed, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert all(np.abs(vectors - expected).max() < 1e-6 for vectors in got)
    assert blas_threads() == before

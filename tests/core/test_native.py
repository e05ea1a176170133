"""Who is inside of a library: nobody is left there, wherever a signal handler raises."""

import os
import signal
import sys
import threading
import time

import numpy as np
import pytest

from elanus import MilvusClient, native


class Boom(Exception):
    pass


def struck(at, call):
    """The exception that a call was left by, if one was raised at the ``at``-th place.

    Signals are looked for when a function begins, and when one of C has returned.
    """
    left = at

    def strike(frame, event, arg):
        nonlocal left
        if frame.f_code.co_filename == native.__file__ and event in {"call", "c_return"}:
            left -= 1
            if left < 0:
                sys.setprofile(None)
                raise Boom

    sys.setprofile(strike)
    try:
        call()
    except Boom as error:
        return error
    finally:
        sys.setprofile(None)
    return None


@pytest.mark.parametrize("is_held_up", [False, True])
def test_a_handler_that_raises_at_any_place_leaves_nobody_inside(is_held_up, monkeypatch):
    monkeypatch.setattr(native, "_PARK_SECONDS", 0.0)
    if is_held_up:
        monkeypatch.setattr(native._all, "leaver", threading.get_ident() + 1)
    kept, busy = [], []
    while (error := struck(len(kept), lambda: native.call(busy, sum, [1, 2]))) is not None:
        kept.append(error)  # and with its traceback all frames
        assert native._all.threads() == []
        assert not native.are_inside(busy)
    assert len(kept) >= 8
    assert native.call(busy, sum, [1, 2]) == 3
    # So a fork has nobody to wait for.
    began = time.monotonic()
    threading.Thread(target=native.wait_before_fork, args=[began + 30]).start()
    while "native" not in native.forking:
        time.sleep(0.001)
    native.forking.clear()
    assert native._all.inside == {}


def test_who_is_inside_is_seen_by_others_and_inside_again_waits_for_nobody():
    seen, busy = [], []

    def outer():
        assert native.are_inside(busy)
        return native.call(None, lambda: seen.append(native._all.threads().count(me)))

    me = threading.get_ident()
    native.call(busy, outer)
    assert seen == [2]
    with pytest.raises(ZeroDivisionError):
        native.call(busy, lambda: 1 // 0)
    assert busy == []
    assert native._all.inside == {}


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no interval timers")
def test_searches_that_a_handler_interrupts_keep_no_fork_waiting(tmp_path):
    with MilvusClient(tmp_path / "a.db") as client:
        client.create_collection("c", dimension=8)
        vectors = np.random.default_rng(1).normal(size=(500, 8)).astype(np.float32)
        client.insert("c", [{"id": i, "vector": v} for i, v in enumerate(vectors)])
        query = [vectors[0]]
        client.search("c", query)

        def raises(*_):
            raise Boom

        def until_struck(turn):
            # Once each, so that none can come after the block.
            signal.setitimer(signal.ITIMER_REAL, 0.0005 + 0.000003 * (turn % 100))
            while True:
                client.search("c", query)

        before = signal.signal(signal.SIGALRM, raises)
        try:
            for turn in range(200):
                with pytest.raises(Boom):
                    until_struck(turn)
        finally:
            signal.signal(signal.SIGALRM, before)
        assert native._all.threads() == []
        began, codes = time.monotonic(), []

        def fork():
            child = os.fork()
            if child == 0:
                os._exit(0)
            codes.append(os.waitpid(child, 0)[1])

        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
        assert codes == [0]
        assert time.monotonic() - began < 20

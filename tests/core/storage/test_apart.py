"""Calls apart from the main thread, whose signal handlers strike at each line of the wait."""

import gc
import sys
import weakref

from elanus.storage.file._apart import Apart


class Result:
    """Something that can be seen to be gone."""


class Struck(Exception):
    """What the handler raises."""


def is_struck(left, call):
    """Make a call, and strike at the given line of those that it passes; whether it has so many."""

    def trace(frame, event, _):
        nonlocal left
        if frame.f_code.co_filename != sys.modules[Apart.__module__].__file__:
            return None
        left -= event == "line"
        if left == 0 and event == "line":
            sys.settrace(None)
            raise Struck
        return trace

    sys.settrace(trace)
    try:
        call()
    except Struck:
        return True
    finally:
        sys.settrace(None)
    return False


def test_a_result_that_a_handler_keeps_from_its_caller_is_gone_at_once():
    apart, made, lines, struck = Apart(), [], 0, True

    def call():
        result = Result()
        made.append(weakref.ref(result))
        return result

    gc.disable()  # whoever forks waits for a connection that is lost, until it is gone
    try:
        while struck:
            lines += 1
            struck = is_struck(lines, lambda: apart.run(call))
            apart.run(lambda: None)  # by now the thread has left what it ran before
            assert [left for left in made if left() is not None] == [], lines
    finally:
        gc.enable()
    assert lines > 20
    apart.close()

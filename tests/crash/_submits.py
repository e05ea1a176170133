"""A handler raises at each line that gives a coroutine's call to a thread; then the process ends.

Prints at how many lines one struck; after each of them a later call was answered.
"""

import asyncio
import atexit
import inspect
import os
import signal
import sys

from elanus import aio


class Counter(aio.HasWorker):
    def __init__(self):
        self._worker = aio.Worker("counting")

    def add(self, number):
        return number + 1

    aadd = aio.twin(add)


class Struck(Exception):
    """What the handler raises."""


def strike(*_):
    raise Struck


def at_line(code, line, times):
    """Whether the line was reached, after which a later call had its answer."""
    counter, hits = Counter(), 0

    def trace(frame, event, _):
        nonlocal hits
        if frame.f_code is not code:
            return None
        if event == "line" and frame.f_lineno == line:
            hits += 1
            signal.raise_signal(signal.SIGUSR1)
        return trace

    async def two():
        return await asyncio.gather(counter.aadd(1), counter.aadd(2))

    for _ in range(times):
        sys.settrace(trace)
        try:
            asyncio.run(two())
        except Struck:
            pass
        finally:
            sys.settrace(None)
    assert asyncio.run(asyncio.wait_for(counter.aadd(3), 10)) == 4
    return hits > 0


def main():
    signal.signal(signal.SIGUSR1, strike)
    reached = 0
    for function in (aio._Threads.submit, aio._Threads._start, aio.Worker.run):
        lines, first = inspect.getsourcelines(function)
        for line in range(first + 1, first + len(lines)):
            number = os.fork()
            if number == 0:
                signal.alarm(20)  # kills whoever hangs
                was_reached = at_line(function.__code__, line, 12)
                atexit._run_exitfuncs()  # where the end waits for calls
                os._exit(7 if was_reached else 0)
            code = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
            assert code in (0, 7), (function.__name__, lines[line - first], code)
            reached += code == 7
    print(reached)


if __name__ == "__main__":
    main()

"""Two measuring processes that take turns, so that both meet every mood of the machine.

Each has the reading end of one pipe and the writing end of the other; who has read the one byte
works. A process that ends closes its pipes, and the other goes on alone.
"""

from __future__ import annotations

import os
from contextlib import suppress

VARIABLE = "BENCH_TURNS"
TOKEN = b"."


def _ends() -> tuple[int, int] | None:
    given = os.environ.pop(VARIABLE, "")
    if not given:
        return None
    ours, others = map(int, given.split())
    os.read(ours, 1)
    return ours, others


_pipes = _ends()


def take_turn() -> None:
    """Let the other process work, if there is one, until it does the same."""
    if _pipes is None:
        return
    ours, others = _pipes
    with suppress(BrokenPipeError):
        os.write(others, TOKEN)
    os.read(ours, 1)

"""A progress bar on standard error, for every distribution."""

from __future__ import annotations

import sys
import time

__all__ = ["ProgressBar"]

_WIDTH = 30
_SECONDS_BETWEEN = 0.1


class ProgressBar:
    """Shows how many of a number of things are done.

    Args:
        total: how many there are.
        things: what they are called.
        shown: whether anything is drawn.
        timed: whether it also says how long the rest will take.
    """

    def __init__(self, total: int, things: str, *, shown: bool, timed: bool = False) -> None:
        self._total = total
        self._things = things
        self._shown = shown and total > 0
        self._timed = timed
        self._done = 0
        self._start = time.monotonic()
        self._drawn = 0.0

    def add(self, count: int) -> None:
        """Count things that are done; drawn at most ten times a second, and at the end."""
        self._done += count
        now, last = time.monotonic(), self._done >= self._total
        if not self._shown or (now - self._drawn < _SECONDS_BETWEEN and not last):
            return
        self._drawn = now
        bar = ("#" * (_WIDTH * self._done // self._total)).ljust(_WIDTH, "-")
        text = f"\r[{bar}] {self._done:,} of {self._total:,} {self._things}"
        if self._timed:
            left = (now - self._start) * (self._total - self._done) / max(self._done, 1)
            text += f", {left:4.0f} s left"
        sys.stderr.write(text + "\n" * last)
        sys.stderr.flush()

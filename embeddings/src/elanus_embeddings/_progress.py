"""A progress bar on standard error, for functions whose library brings none."""

from __future__ import annotations

import sys
import time

_WIDTH = 30
_SECONDS_BETWEEN = 0.1


class ProgressBar:
    """Shows how many of ``total`` texts are done."""

    def __init__(self, total: int, *, shown: bool) -> None:
        self._total = total
        self._shown = shown and total > 0
        self._done = 0
        self._drawn = 0.0

    def add(self, count: int) -> None:
        """Count texts that are done; drawn at most ten times a second, and at the end."""
        self._done += count
        now, last = time.monotonic(), self._done >= self._total
        if not self._shown or (now - self._drawn < _SECONDS_BETWEEN and not last):
            return
        self._drawn = now
        bar = ("#" * (_WIDTH * self._done // self._total)).ljust(_WIDTH, "-")
        sys.stderr.write(f"\r[{bar}] {self._done:,} of {self._total:,} texts" + "\n" * last)
        sys.stderr.flush()

"""A progress bar on standard error."""

from __future__ import annotations

import sys
import time

_WIDTH = 30
_SECONDS_BETWEEN = 0.1


class ProgressBar:
    """Shows how many of ``total`` are done, and how long the rest will take."""

    def __init__(self, total: int, *, shown: bool) -> None:
        self._total = total
        self._shown = shown and total > 0
        self._start = time.monotonic()
        self._drawn = 0.0

    def show(self, done: int) -> None:
        """Draw the bar, at most ten times a second; the last time with a line feed."""
        now = time.monotonic()
        last = done >= self._total
        if not self._shown or (now - self._drawn < _SECONDS_BETWEEN and not last):
            return
        self._drawn = now
        filled = _WIDTH * done // self._total
        left = (now - self._start) * (self._total - done) / max(done, 1)
        bar = "#" * filled + "-" * (_WIDTH - filled)
        text = f"\r[{bar}] {done:,} of {self._total:,} documents, {left:4.0f} s left"
        sys.stderr.write(text + "\n" * last)
        sys.stderr.flush()

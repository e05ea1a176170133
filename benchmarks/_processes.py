"""Several processes of one script, which answer the same question at the same time."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Workers:
    """Processes that call `answer`.

    Args:
        script: the file to run.
        arguments: for each of them.
        count: how many.
    """

    def __init__(self, script: str, arguments: list[str], count: int) -> None:
        command = [sys.executable, script, *arguments]
        self._running = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(count)
        ]

    def __enter__(self) -> Workers:
        self._replies()  # each says once that it is ready
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self._running:
            process.communicate()  # closes its input, which ends it

    def ask(self, question: str) -> list[str]:
        """Ask all of them at once, and wait for every answer."""
        for process in self._running:
            assert process.stdin is not None
            process.stdin.write(question + "\n")
            process.stdin.flush()
        return self._replies()

    def _replies(self) -> list[str]:
        replies = []
        for process in self._running:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                sys.exit(f"a process ended with status {process.wait()}; see above")
            replies.append(line.strip())
        return replies


def answer(reply: Callable[[str], str]) -> None:
    """Say that this process is ready, then answer questions until there are no more."""
    print("ready", flush=True)
    for line in sys.stdin:
        print(reply(line.strip()), flush=True)

"""One process for each measurement, and what several of them say together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from _turns import TOKEN, VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WORKLOAD = Path(__file__).with_name("_workload.py")


class MeasurementError(Exception):
    """A measuring process failed, or took too long."""


def measured(
    system: str, corpus: Path, *, source: Path | None = None, timeout: float = 3600
) -> dict[str, float]:
    """Run the workload in a new process.

    Args:
        system: a name of `_peers.SYSTEMS`.
        corpus: a folder written by `Corpus.save`.
        source: a folder that holds the package ``elanus`` to import, instead of the installed one.
        timeout: seconds.

    Raises:
        MeasurementError: the process failed; the message ends with its last words.
    """
    environment = dict(os.environ)
    if source is not None:
        environment["PYTHONPATH"] = str(source)
    return _figures(system, corpus, environment, timeout)


def measured_in_turns(
    system: str, corpus: Path, sources: Sequence[Path], *, timeout: float = 3600
) -> list[dict[str, float]]:
    """Run the workload in two new processes, of which one works at a time, the first one first.

    Args:
        system: a name of `_peers.SYSTEMS`.
        corpus: a folder written by `Corpus.save`.
        sources: two folders that hold the package ``elanus``.
        timeout: seconds, for both together.

    Raises:
        MeasurementError: a process failed; the message ends with its last words.
    """
    with ThreadPoolExecutor(2) as pool:
        pipes = [os.pipe(), os.pipe()]
        os.write(pipes[0][1], TOKEN)
        runs = [
            pool.submit(_in_turns, system, corpus, source, (ours[0], others[1]), timeout)
            for source, ours, others in zip(sources, pipes, reversed(pipes), strict=True)
        ]
        return [run.result() for run in runs]


def _in_turns(
    system: str, corpus: Path, source: Path, ends: tuple[int, int], timeout: float
) -> dict[str, float]:
    """Closes its ends, so that the other process hears of it when this one is done."""
    environment = {**os.environ, "PYTHONPATH": str(source), VARIABLE: f"{ends[0]} {ends[1]}"}
    try:
        return _figures(system, corpus, environment, timeout, ends)
    finally:
        for end in ends:
            os.close(end)


def _figures(
    system: str,
    corpus: Path,
    environment: Mapping[str, str],
    timeout: float,
    inherited: Sequence[int] = (),
) -> dict[str, float]:
    command = [sys.executable, str(WORKLOAD), system, str(corpus)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=timeout,
            check=True, pass_fds=inherited,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise MeasurementError(f"{system}: not finished after {timeout:g} s") from error
    except subprocess.CalledProcessError as error:
        raise MeasurementError(f"{system}: {error.stderr.strip()[-600:]}") from error
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """The median of each row over the runs that have it, in the order of the first."""
    rows = dict.fromkeys(row for run in runs for row in run)
    return {row: float(np.median([run[row] for run in runs if row in run])) for row in rows}

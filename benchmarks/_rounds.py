"""One process for each measurement, and what several of them say together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

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
    command = [sys.executable, str(WORKLOAD), system, str(corpus)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=timeout, check=True
        )
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

"""How the benchmarks measure and report: times, memory, disk, the machine, tables."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
MB = 1e6
A = TypeVar("A")
R = TypeVar("R")


def timed(call: Callable[[A], R], arguments: Iterable[A]) -> tuple[NDArray[np.float64], list[R]]:
    """Call once for each argument, one after the other: milliseconds of each, and results."""
    times, results = [], []
    for argument in arguments:
        start = time.perf_counter()
        results.append(call(argument))
        times.append(time.perf_counter() - start)
    return np.array(times) * 1e3, results


def seconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def import_seconds(modules: Sequence[str]) -> float:
    """How long a fresh interpreter takes to import ``modules``: the median of three."""
    code = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", code.format(", ".join(modules))]
    runs = [subprocess.run(command, capture_output=True, check=True) for _ in range(3)]
    return float(np.median([float(run.stdout) for run in runs]))


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a process, in MB (10**6 bytes).

    Attributes:
        rss: resident pages, those that are shared with other processes included.
        pss: the same, each shared page divided by how many processes share it.
    """

    rss: float
    pss: float


def memory() -> Memory | None:
    """Memory of this process; None where the system has no ``/proc/self/smaps_rollup``."""
    try:
        lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return None
    sizes = {name: 1024 * int(size) for name, size, *_ in map(str.split, lines)}
    return Memory(sizes["Rss:"] / MB, sizes["Pss:"] / MB)


def disk_mb(folder: Path) -> float:
    """Size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / MB


def higher_is_better(row: str) -> bool:
    """Whether a larger value of a row is the better one."""
    return row.endswith(("recall", "queries/s"))


def figure(value: float | None) -> str:
    """Three significant digits, and no exponent; a dash for what was not measured."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.4f}".rstrip("0").rstrip(".")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns line up in a terminal too; all but the first to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    first, *others = widths
    lines.insert(1, ["-" * first] + ["-" * (width - 1) + ":" for width in others])
    return "\n".join(
        "| " + " | ".join([row[0].ljust(first), *map(str.rjust, row[1:], others)]) + " |"
        for row in lines
    )


def machine(*packages: str) -> str:
    """Where, when, and on what a benchmark ran, as a Markdown list for a results page.

    Args:
        packages: distributions to name with their versions, beside those that are always named.
    """
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    # Folders of one machine mean nothing to a reader of the page.
    arguments = [Path(a).name if Path(a).is_absolute() else a for a in sys.argv[1:]]
    script = Path(sys.argv[0]).name
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    names = ("elanus", "numpy", "apsw", "turbovec", "orjson", "PyStemmer", *packages)
    lines = [
        f"Machine: {_cpu()}, {os.cpu_count()} cores, {memory_gb:.0f} GB",
        f"System: {platform.platform()}",
        f"Python {platform.python_version()}; " + ", ".join(map(_named, names)),
        f"Commit: {commit()}",
        f"Date: {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        f"Load before (1, 5, 15 minutes): {load}",
        f"Command: `python benchmarks/{' '.join([script, *arguments])}`",
    ]
    return "\n".join("* " + line for line in lines)


def commit() -> str:
    """The commit of this checkout, and whether files differ from it."""
    found = git("describe", "--always", "--dirty=, with changes")
    return found.stdout.strip() if found.returncode == 0 else "unknown"


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git in this checkout."""
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _named(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} (no version)"

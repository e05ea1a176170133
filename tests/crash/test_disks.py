"""A full disk: an error that says so, nothing lost, nothing left over, and no crash."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("_disks.py")


@pytest.fixture
def disk(tmp_path):
    """A disk of 8 MB where one can be mounted; elsewhere an ordinary folder, which never fills."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    is_mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    yield folder, "small" if is_mounted else "large"
    if is_mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_at_any_step(disk):
    folder, size = disk
    done = subprocess.run(
        [sys.executable, PROGRAM, str(folder), size],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr

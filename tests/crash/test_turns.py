"""Every commit and every checkpoint runs in the writers' turn."""

import json
import os
import subprocess
import sys
from pathlib import Path

from elanus import MilvusClient

PROGRAM = Path(__file__).with_name("_watched.py")
SECONDS = 2.0 * int(os.environ.get("ELANUS_REPEATS", "3"))


def test_eight_processes_write_the_files_only_in_their_turn(tmp_path):
    path = tmp_path / "kb.db"
    children = [
        subprocess.Popen(
            [sys.executable, PROGRAM, path, str(number), str(SECONDS)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(8)
    ]  # fmt: skip
    ended = [child.communicate(timeout=SECONDS + 240) for child in children]
    rows = 0
    for child, (said, errors) in zip(children, ended, strict=True):
        assert child.returncode == 0, errors
        report = json.loads(said)
        assert report["outside"] == []
        assert report["inside"] > 0
        rows += report["rows"]
    # Nobody has it open any more: all is in the one file.
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kb.db", "kb.db-cache"]
    with MilvusClient(path) as client:
        assert client.verify() == []
        assert client.get_collection_stats("rows")["row_count"] == rows

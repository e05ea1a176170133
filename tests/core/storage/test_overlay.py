"""A database of which an overlay's lower layer holds all files, as a container's image does."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from elanus import MilvusClient

_WRITER = """
import sys
from elanus import MilvusClient
with MilvusClient(sys.argv[1]) as client:
    for key in range(100, 105):
        sys.stdin.readline()
        client.insert("rows", {"id": key, "text": "late", "v": [0, 0, 0, 1]})
        print("done", flush=True)
"""


@pytest.fixture
def overlay(tmp_path):
    """Folders of an overlay that is mounted already, or none where it cannot be."""
    made = SimpleNamespace(**{name: tmp_path / "on" / name for name in ("lower", "upper", "work")})
    base, made.merged = tmp_path / "on", tmp_path / "merged"
    made.merged.mkdir()
    base.mkdir()
    mounted = []

    def mount(kind, target, options=()):
        command = ["mount", "-t", kind, *options, kind, str(target)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("nothing can be mounted here")
        if done.returncode:
            pytest.skip(f"this user mounts no {kind} here: {done.stderr.strip()}")
        mounted.insert(0, target)

    try:
        mount("tmpfs", base)  # a folder of an overlay carries no other
        for folder in (made.lower, made.upper, made.work):
            folder.mkdir()
        layers = f"lowerdir={made.lower},upperdir={made.upper},workdir={made.work}"
        made.mount = lambda: mount("overlay", made.merged, ["-o", layers])
        yield made
    finally:
        for target in mounted:
            subprocess.run(["umount", str(target)], check=True)


def test_who_only_reads_sees_each_commit_that_goes_to_the_upper_layer(overlay, world):
    with MilvusClient(overlay.lower / "kb.db") as client:
        world.create(client)
        client.insert(world.NAME, world.rows(10))
    assert (overlay.lower / "kb.db-cache" / "commits").stat().st_size == 8
    overlay.mount()
    path = str(overlay.merged / "kb.db")
    with MilvusClient(path, read_only=True) as reader:
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        with writer:
            for key in range(100, 105):
                before = world.keys(reader)
                writer.stdin.write("\n")
                assert writer.stdout.readline() == "done\n"
                assert world.keys(reader) == [*before, key]

"""Several processes on one file at once."""

import os
import time

from elanus import MilvusClient

ROWS = 160
# How long processes work side by side at least; those that say "enough" may take longer for it.
SECONDS = 4.0 * int(os.environ.get("ELANUS_REPEATS", "2"))


def stop(child):
    """The last words of a child that is told to stop."""
    said, errors = child.communicate("stop\n", timeout=120)
    assert child.returncode == 0, (said, errors)
    return said.splitlines()[-1].split()


def until_enough(children):
    for child in children:
        assert child.stdout.readline() == "enough\n", child.communicate(timeout=60)


def test_three_search_while_one_writes_and_every_hit_is_whole_and_of_one_commit(path, start, model):
    with MilvusClient(path) as client:
        model.create(client)
        client.insert(model.NAME, [model.row(key, 0) for key in range(ROWS)])
    readers = [start("search", path, 50, 10) for _ in range(3)]
    writer = start("rewrite_groups", path)
    time.sleep(SECONDS)
    until_enough(readers)
    word, newest = stop(writer)
    assert word == "written"
    assert int(newest) > 10
    for reader in readers:
        # Whoever looks after the last commit sees it.
        assert stop(reader) == ["seen", newest]
    with MilvusClient(path) as client:
        assert client.verify() == []


def test_two_processes_write_at_once_and_no_row_is_lost(path, start, model):
    with MilvusClient(path) as client:
        model.create(client)
        writers = [start("insert_own", path, first, 30) for first in (0, 1_000_000)]
        time.sleep(SECONDS / 5)
        until_enough(writers)
        ends = [int(stop(writer)[1]) for writer in writers]
        expected = [*range(ends[0]), *range(1_000_000, ends[1])]
        assert sorted(model.versions_of(client)) == expected
        assert client.verify() == []


def test_processes_that_create_the_same_file_at_once_wait_for_each_other(tmp_path, start, model):
    children = [start("create_and_insert", key) for key in range(4)]
    for turn in range(25):
        path = str(tmp_path / f"{turn}.db")
        for child in children:
            child.stdin.write(f"{path}\n")
            child.stdin.flush()
        for child in children:
            assert child.stdout.readline() == "written\n", child.communicate(timeout=60)
        with MilvusClient(path) as client:
            assert sorted(model.versions_of(client)) == [0, 1, 2, 3]
            assert client.verify() == []

"""Several processes on one file at once."""

from elanus import MilvusClient

ROWS = 160
SECONDS = 20


def finish(child, seconds):
    said, errors = child.communicate(timeout=seconds + 60)
    assert child.returncode == 0, (said, errors)
    return said.splitlines()[-1].split()


def test_three_search_while_one_writes_and_every_hit_is_whole_and_of_one_commit(path, start, model):
    with MilvusClient(path) as client:
        model.create(client)
        client.insert(model.NAME, [model.row(key, 0) for key in range(ROWS)])
    readers = [start("search", path, SECONDS) for _ in range(3)]
    writer = start("rewrite_groups", path, SECONDS)
    word, newest = finish(writer, SECONDS)
    assert word == "written"
    assert int(newest) > 20
    for reader in readers:
        word, seen, searches, changes = finish(reader, SECONDS)
        assert word == "seen"
        assert int(searches) > 50
        # The reader began before the writer and ended with it: it saw many of its commits.
        assert int(changes) > 10
        assert int(newest) // 2 < int(seen) <= int(newest)
    with MilvusClient(path) as client:
        assert client.verify() == []


def test_two_processes_write_at_once_and_no_row_is_lost(path, start, model):
    with MilvusClient(path) as client:
        model.create(client)
        writers = [start("insert_own", path, first, 4) for first in (0, 1_000_000)]
        ends = [int(finish(writer, 4)[1]) for writer in writers]
        expected = [*range(ends[0]), *range(1_000_000, ends[1])]
        assert min(ends[0], ends[1] - 1_000_000) > 30
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
            assert child.stdout.readline() == "written\n", child.communicate()
        with MilvusClient(path) as client:
            assert sorted(model.versions_of(client)) == [0, 1, 2, 3]
            assert client.verify() == []

"""Compaction, copies, threads, and inserts of any size."""

import threading
import time
from pathlib import Path

import pytest

from elanus import MilvusClient
from elanus.errors import DataNotMatchException, ParamError, StorageError


def run(*calls):
    """Run calls in threads; the first error of any is raised here."""
    errors = []

    def guarded(call):
        try:
            call()
        except BaseException as error:  # noqa: BLE001  # raised again below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def test_a_word_may_stand_in_a_text_more_often_than_a_byte_can_count(client, path, world):
    client.insert(world.NAME, [world.row(500, "often " * 300 + "once")])
    client.insert(world.NAME, [world.row(501, "often " * 255), world.row(502, "often " * 1021)])
    assert world.found(client, "often") == [500, 501, 502]
    assert world.found(client, "once") == [500]
    client.upsert(world.NAME, [world.row(502, "seldom")])
    client.delete(world.NAME, ids=[501])
    with MilvusClient(path) as other:
        assert world.found(other, "often") == [500]
        assert other.verify() == []


def test_compacting_shrinks_the_file_and_keeps_everything(client, path, world):
    words = " ".join(f"filler{i}" for i in range(100))
    client.insert(world.NAME, world.rows(100, 4000, text=words))
    client.upsert(world.NAME, world.rows(3990, 4010, text="kept"))
    client.delete(world.NAME, filter="id >= 100 and id < 3990")
    with MilvusClient(path) as other:
        expected = world.found(other, "kept"), world.keys(other), world.nearest(other, 3995)
        before = sum(Path(name).stat().st_size for name in (path, f"{path}-wal"))
        client.compact()
        after = sum(Path(name).stat().st_size for name in (path, f"{path}-wal"))
        assert after < before / 2
        for each in (client, other):
            assert (
                world.found(each, "kept"),
                world.keys(each),
                world.nearest(each, 3995),
            ) == expected
        assert expected == (list(range(3990, 4010)), [*range(100), *range(3990, 4010)], 3995)
        other.insert(world.NAME, world.rows(5000, 5010))
        assert other.verify() == []
    assert world.nearest(client, 5005) == 5005


def test_compacting_memory_keeps_everything(world):
    with MilvusClient(":memory:") as client:
        world.create(client)
        client.insert(world.NAME, world.rows(100))
        client.delete(world.NAME, ids=list(range(50)))
        client.compact()
        assert world.keys(client) == list(range(50, 100))
        assert client.verify() == []


def test_backups_while_others_write_are_sound_and_of_one_commit(client, tmp_path, world):
    stop = threading.Event()
    written = []

    def write():
        key = 1000
        while not stop.is_set():
            client.insert(world.NAME, world.rows(key, key + 10))
            written.append(key)
            client.upsert(world.NAME, world.rows(key - 5, key + 5, text=f"again {key}"))
            key += 10

    counts = []

    def back_up():
        try:
            for number in range(4):
                time.sleep(0.1)
                least = len(written)
                client.backup(tmp_path / f"copy{number}.db")
                counts.append(least)
        finally:
            stop.set()

    client.insert(world.NAME, world.rows(995, 1000))
    run(write, back_up)
    for number, least in enumerate(counts):
        with MilvusClient(tmp_path / f"copy{number}.db") as copy:
            new = [k for k in world.keys(copy) if k >= 1000]
            assert new == list(range(1000, 1000 + len(new)))
            assert len(new) % 10 == 0
            assert len(new) // 10 >= least
            assert world.found(copy, "common") + world.found(copy, "again")
            assert copy.verify() == []
            copy.insert(world.NAME, world.rows(90_000, 90_003))
            assert copy.verify() == []


def test_a_backup_of_memory_is_a_file(path, world):
    with MilvusClient(":memory:") as client:
        world.create(client)
        client.insert(world.NAME, world.rows(10))
        client.backup(path)
    with MilvusClient(path) as copy:
        assert world.keys(copy) == list(range(10))
        assert copy.verify() == []


def test_a_backup_in_the_place_of_the_database_is_that_database(path, tmp_path, world):
    """The folder beside it knows of later rows, and must not be believed."""
    with MilvusClient(path) as client:
        world.create(client)
        client.insert(world.NAME, world.rows(100))
        world.nearest(client, 5)
        client.backup(tmp_path / "copy.db")
        client.insert(world.NAME, world.rows(100, 200, text="later"))
        client.load_collection(world.NAME)
    (tmp_path / "copy.db").replace(path)
    with MilvusClient(path) as client:
        assert world.keys(client) == list(range(100))
        client.insert(world.NAME, world.rows(300, 400, text="different"))
        assert world.nearest(client, 150) is None
        assert world.nearest(client, 350) == 350
        assert world.found(client, "different") == list(range(300, 400))
        assert world.found(client, "later") == []
        assert client.verify() == []


def test_a_backup_never_overwrites_and_names_a_missing_folder(client, path, tmp_path):
    (tmp_path / "there.db").write_text("mine")
    with pytest.raises(ParamError, match=r"there\.db exists already; give a new path"):
        client.backup(tmp_path / "there.db")
    assert (tmp_path / "there.db").read_text() == "mine"
    with pytest.raises(ParamError, match="exists already"):
        client.backup(path)
    with pytest.raises(StorageError, match=r"none/copy\.db"):
        client.backup(tmp_path / "none" / "copy.db")


@pytest.mark.parametrize("name", ["b" * 256, "b" * 3_000, "é" * 200, "x/" * 1_500 + "x"])
def test_a_backup_to_a_name_that_the_system_cannot_hold_is_refused(client, tmp_path, name):
    with pytest.raises(StorageError, match="cannot open"):
        client.backup(tmp_path / name)
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(name[:1])]


@pytest.mark.parametrize("place", ["file", ":memory:"])
def test_four_threads_write_and_four_read_and_the_books_balance(path, world, place):
    begun = time.monotonic()
    acknowledged = [set() for _ in range(4)]

    def going_on():
        """For a while, and as long as it takes for each writer to have had its turns."""
        seconds = time.monotonic() - begun
        few = min(len(mine) for mine in acknowledged) <= 10
        return seconds < 2.5 or (few and seconds < 60)

    def write(client, which):
        mine, key = acknowledged[which], which * 100_000
        while going_on():
            client.insert(world.NAME, world.rows(key, key + 4, text=f"common thread{which}x"))
            mine.update(range(key, key + 4))
            client.upsert(world.NAME, world.rows(key, key + 2, text=f"common thread{which}x twice"))
            if key % 3 == 0:
                client.delete(world.NAME, ids=[key + 3])
                mine.discard(key + 3)
            key += 4

    def read(client, which):
        while going_on():
            known = set(acknowledged[which])
            [hits] = client.search(
                world.NAME, ["common"], anns_field="bm", limit=100_000, output_fields=["id", "note"]
            )
            found = {h["id"] for h in hits}
            assert len(found) == len(hits)
            assert all(h["entity"]["note"] == f"n{h['id']}" for h in hits)
            # What was acknowledged before the search is in it, but for what was deleted since.
            assert len(known - found) <= len(known - acknowledged[which]) + 1

    with MilvusClient(path if place == "file" else place, durability="normal") as client:
        world.create(client)
        run(
            *(lambda w=w: write(client, w) for w in range(4)),
            *(lambda w=w: read(client, w) for w in range(4)),
        )
        expected = sorted(set().union(*acknowledged))
        assert min(len(a) for a in acknowledged) > 10
        assert world.keys(client) == expected
        assert world.found(client, "common") == expected
        [hits] = client.search(world.NAME, [[0, 1, 0, 0]], anns_field="v", limit=100_000)
        assert sorted(h["id"] for h in hits) == expected
        assert client.verify() == []


def small_rows(count):
    return [{"id": i, "vector": [float(i % 97), 1.0]} for i in range(count)]


def test_one_insert_of_sixty_thousand_rows_is_atomic_and_quick(path):
    seen, looked, done = set(), threading.Event(), threading.Event()
    with MilvusClient(path) as client, MilvusClient(path, read_only=True) as reader:
        client.create_collection("many", dimension=2)

        def insert():
            try:
                assert looked.wait(60)
                begun = time.monotonic()
                assert client.insert("many", small_rows(60_000))["insert_count"] == 60_000
                assert time.monotonic() - begun < 60
            finally:
                done.set()

        def watch():
            while not done.is_set():
                seen.add(reader.get_collection_stats("many")["row_count"])
                looked.set()

        run(insert, watch)
        assert seen <= {0, 60_000}
        assert 0 in seen
        assert reader.get_collection_stats("many") == {"row_count": 60_000}
        assert client.verify() == []


def test_one_bad_row_in_sixty_thousand_writes_none(path):
    with MilvusClient(path) as client:
        client.create_collection("many", dimension=2)
        bad = small_rows(60_000)
        bad[59_999]["vector"] = [1.0]
        with pytest.raises(DataNotMatchException, match="59999"):
            client.insert("many", bad)
        assert client.get_collection_stats("many") == {"row_count": 0}
        assert client.verify() == []

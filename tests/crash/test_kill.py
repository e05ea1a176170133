"""SIGKILL at random moments: nothing acknowledged is lost, nothing half-done is seen."""

import os
import random
import signal
import time

import pytest

from elanus import MilvusClient

KILLS = int(os.environ.get("ELANUS_REPEATS", "8"))


def kill_after(child, least, seconds):
    """The numbers that a child acknowledged before it was killed: at least so many, and then some.

    Counted, and not only timed, because a busy machine may do nothing in a second.
    """
    lines = [child.stdout.readline() for _ in range(least)]
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    # Not by communicate(), which leaves out what readline() has read ahead.
    lines += child.stdout.readlines()
    assert child.wait(timeout=60) == -signal.SIGKILL, (lines, child.stderr.read())
    return [int(line) for line in lines]


def moment(rng):
    """Often soon, so that opening is hit as well; at times in the middle of many batches."""
    return rng.choice([
        (0, rng.uniform(0.0, 0.05)), (0, rng.uniform(0.0, 0.3)), (rng.randint(5, 40), rng.uniform(0.0, 0.1)),
    ])  # fmt: skip


def assert_views_agree(client, model, versions):
    """Scalars, vectors, terms and sparse vectors tell of the same rows."""
    rows = client.query(model.NAME, output_fields=model.OUTPUT)
    assert {r["id"]: r["version"] for r in rows} == versions
    assert [fault for r in rows for fault in model.faults_of_row(r)] == []
    everything = {"limit": len(versions) + 100}
    for field, query in (("v", [0.0] * model.DIM), ("bm", "common"), ("s", {0: 1.0})):
        [hits] = client.search(model.NAME, [query], anns_field=field, **everything)
        assert {h["id"] for h in hits} == set(versions), field
    for key in list(versions)[:: max(1, len(versions) // 10)]:
        expected = model.row(key, versions[key])
        for field, query in (
            ("v", expected["v"]),
            ("bm", model.word("key", key)),
            ("s", {10 + key: 1.0}),
        ):
            [hits] = client.search(model.NAME, [query], anns_field=field, limit=1)
            assert [h["id"] for h in hits] == [key], field


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_killed_writer_loses_no_acknowledged_batch_and_leaves_no_part_of_another(
    path, start, model, journal
):
    seed, rng = f"batches-{journal}", random.Random(journal)
    with MilvusClient(path, journal=journal) as client:
        model.create(client)
    versions, number, acknowledged, unacknowledged = {}, 0, 0, 0
    for turn in range(KILLS):
        # In every other round a reader keeps the file open, so that the log outlives its writer.
        reader = MilvusClient(path, journal=journal) if turn % 2 else None
        if reader is not None:
            reader.get_collection_stats(model.NAME)
        child = start("write_batches", path, seed, number, journal)
        done = kill_after(child, *moment(rng))
        assert done == list(range(number, number + len(done)))
        for n in done:
            versions = model.applied(seed, n, versions)
        number, acknowledged = number + len(done), acknowledged + len(done)
        client = reader or MilvusClient(path, journal=journal)
        found = model.versions_of(client)
        if found != versions:
            versions = model.applied(seed, number, versions)
            number, unacknowledged = number + 1, unacknowledged + 1
        assert found == versions
        assert_views_agree(client, model, versions)
        assert client.verify() == []
        client.close()
    assert acknowledged > 3 * KILLS, "the writer was killed before it could write anything"


def test_a_kill_in_the_middle_of_changing_the_catalogue_leaves_the_old_or_the_new_one(
    path, start, model
):
    seed, rng = "catalogue", random.Random(7)
    state, number, acknowledged = {}, 0, 0
    for _ in range(KILLS):
        done = kill_after(start("change_catalogue", path, seed, number), *moment(rng))
        for n in done:
            state = model.catalogue_applied(seed, n, state)
        number, acknowledged = number + len(done), acknowledged + len(done)
        with MilvusClient(path) as client:
            found = model.catalogue_of(client)
            if found != state:
                state = model.catalogue_applied(seed, number, state)
                number += 1
            assert found == state
            for name, (rows, _) in state.items():
                [hits] = client.search(name, ["common"], anns_field="bm", limit=rows + 100)
                assert len(hits) == rows
            assert client.verify() == []
    assert acknowledged > KILLS


def test_the_file_of_a_killed_creator_can_be_opened(tmp_path, start, model):
    """Killed at any moment of the first opening: before, within and after laying out the file."""
    rng = random.Random(3)
    for turn in range(6):
        path = str(tmp_path / f"new{turn}.db")
        kill_after(start("change_catalogue", path, turn, 0), 0, rng.uniform(0.0, 0.03))
        with MilvusClient(path) as client:
            model.create(client, "mine")
            client.insert("mine", model.row(1, 1))
            assert client.verify() == []

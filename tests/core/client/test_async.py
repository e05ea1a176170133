"""The asynchronous client: the same calls, on any loop, never blocking one."""

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest

from elanus import AsyncMilvusClient, MilvusClient
from elanus.errors import ClosedError, CollectionNotFoundError, DataNotMatchException

DIM = 8


@pytest.fixture(params=["file", "memory"])
def address(request, tmp_path):
    return tmp_path / "async.db" if request.param == "file" else ":memory:"


def make_rows(count, first=0):
    matrix = np.random.default_rng(first).random((count, DIM), dtype=np.float32)
    return [
        {"id": first + i, "vector": row, "text": f"row {i} of the batch"}
        for i, row in enumerate(matrix)
    ]


async def count(client):
    (row,) = await client.query("c", output_fields=["count(*)"])
    return row["count(*)"]


PUBLIC = sorted(name for name in dir(MilvusClient) if not name.startswith("_"))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_call_has_an_asynchronous_twin_with_the_same_signature(name):
    blocking, coroutine = getattr(MilvusClient, name), getattr(AsyncMilvusClient, name)
    assert inspect.signature(blocking).parameters == inspect.signature(coroutine).parameters
    needs_no_file = {"create_schema", "create_field_schema", "prepare_index_params"}
    assert inspect.iscoroutinefunction(coroutine) == (name not in needs_no_file)
    assert inspect.getdoc(coroutine)


def test_a_client_made_outside_a_loop_works_in_several_runs(address):
    client = AsyncMilvusClient(address)

    async def write():
        await client.create_collection("c", dimension=DIM)
        return (await client.insert("c", make_rows(20)))["insert_count"]

    async def read():
        return await count(client)

    assert asyncio.run(write()) == 20
    assert asyncio.run(read()) == 20
    assert asyncio.run(read()) == 20
    assert asyncio.run(client.verify()) == []
    asyncio.run(client.close())


def test_async_with_closes(tmp_path):
    before = set(threading.enumerate())

    async def main():
        async with AsyncMilvusClient(tmp_path / "a.db") as client:
            await client.create_collection("c", dimension=DIM)
            assert await client.list_collections() == ["c"]
        with pytest.raises(ClosedError):
            await client.list_collections()
        await client.close()
        await client.close()

    asyncio.run(main())
    left = [t for t in set(threading.enumerate()) - before if t.name.startswith("elanus")]
    for thread in left:
        thread.join(60)
    assert not [t for t in left if t.is_alive()]


def test_repr_names_the_asynchronous_class(tmp_path):
    client = AsyncMilvusClient(tmp_path / "a.db")
    assert repr(client) == f"AsyncMilvusClient({str(tmp_path / 'a.db')!r})"
    asyncio.run(client.close())


def test_errors_reach_the_one_who_awaits(address):
    async def main():
        async with AsyncMilvusClient(address) as client:
            with pytest.raises(CollectionNotFoundError, match="'none'"):
                await client.query("none")
            await client.create_collection("c", dimension=DIM)
            with pytest.raises(DataNotMatchException, match="dimension 2"):
                await client.insert("c", {"id": 1, "vector": [1, 2]})
            assert await count(client) == 0

    asyncio.run(main())


class SlowRows(Sequence):
    """Rows of which each needs a tick of the event loop to be read."""

    def __init__(self, rows):
        self.rows, self.reading, self.ticked = rows, threading.Event(), threading.Event()

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, place):
        row = self.rows[place]
        self.ticked.clear()
        self.reading.set()
        assert self.ticked.wait(60), "the loop is blocked"
        return row

    async def tick(self):
        while True:
            await asyncio.sleep(0)
            self.ticked.set()


def test_the_loop_keeps_ticking_while_the_rows_of_an_insert_are_read(address):
    rows = SlowRows(make_rows(20))

    async def main():
        async with AsyncMilvusClient(address) as client:
            await client.create_collection("c", dimension=DIM)
            ticking = asyncio.create_task(rows.tick())
            await client.insert("c", rows)
            ticking.cancel()
            assert await count(client) == 20

    asyncio.run(main())
    assert rows.reading.is_set()


def test_the_loop_keeps_ticking_while_an_insert_waits_for_its_turn(address):
    async def main():
        async with AsyncMilvusClient(address) as client:
            await client.create_collection("c", dimension=DIM)
            # Whoever blocked the loop here would wait for the lock that the loop holds.
            with client.blocking._database.file.write("hold the lock"):
                writing = asyncio.create_task(client.insert("c", make_rows(20)))
                for _ in range(20):
                    await asyncio.sleep(0.005)
                assert not writing.done()
            assert (await writing)["insert_count"] == 20

    asyncio.run(main())


@pytest.mark.parametrize("leave_loop", [False, True], ids=["same loop", "loop gone"])
def test_cancelling_an_insert_ends_the_wait_and_the_write_completes(address, leave_loop, caplog):
    client, rows = AsyncMilvusClient(address), SlowRows(make_rows(50))

    async def main():
        await client.create_collection("c", dimension=DIM)
        task = asyncio.create_task(client.insert("c", rows))
        assert await asyncio.to_thread(rows.reading.wait, 60)
        task.cancel()
        # The write cannot end before it is let go on, so this wait is not one for the write.
        with pytest.raises(asyncio.CancelledError):
            await task
        if not leave_loop:
            await all_written()

    async def all_written():
        ticking, end = asyncio.create_task(rows.tick()), time.monotonic() + 60
        while (there := await count(client)) < 50:
            assert there == 0
            assert time.monotonic() < end, "nothing was written"
            await asyncio.sleep(0.01)
        ticking.cancel()

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
        asyncio.run(all_written())
    assert caplog.records == []
    assert asyncio.run(client.verify()) == []
    asyncio.run(client.close())


def test_fifty_searches_at_once_give_what_one_after_another_gives(address):
    async def main():
        async with AsyncMilvusClient(address) as client:
            await client.create_collection("c", dimension=DIM)
            await client.insert("c", make_rows(500))
            queries = np.random.default_rng(7).random((50, DIM))
            alone = [(await client.search("c", [q], limit=5))[0] for q in queries]
            together = await asyncio.gather(
                *(client.search("c", [q], limit=5, output_fields=["text"]) for q in queries)
            )
            assert [[h.id for h in r[0]] for r in together] == [[h.id for h in r] for r in alone]
            assert all(h.entity["text"].startswith("row") for r in together for h in r[0])

    asyncio.run(main())


def test_writes_and_reads_gathered_are_each_atomic(address):
    async def main():
        async with AsyncMilvusClient(address) as client:
            await client.create_collection("c", dimension=DIM)
            writes = [client.insert("c", make_rows(100, first=100 * i)) for i in range(8)]
            seen = await asyncio.gather(*writes, *(count(client) for _ in range(20)))
            assert all(n % 100 == 0 for n in seen[8:])
            assert await count(client) == 800
            assert await client.verify() == []

    asyncio.run(main())


def test_two_loops_in_two_threads_share_a_client(address):
    client = AsyncMilvusClient(address)
    asyncio.run(client.create_collection("c", dimension=DIM))
    failures = []

    def work(first):
        async def main():
            for i in range(10):
                await client.insert("c", make_rows(10, first=first + 10 * i))
                (hits,) = await client.search("c", [np.ones(DIM)], limit=3)
                assert len(hits) == 3

        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001  # shown by the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(1000 * i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert asyncio.run(count(client)) == 200
    assert asyncio.run(client.verify()) == []
    asyncio.run(client.close())


def test_closing_lets_running_calls_finish(tmp_path):
    async def main():
        client = AsyncMilvusClient(tmp_path / "a.db")
        await client.create_collection("c", dimension=DIM)
        writing = asyncio.create_task(client.insert("c", make_rows(10_000)))
        await asyncio.sleep(0.02)
        await client.close()
        return await asyncio.gather(writing, return_exceptions=True)

    (result,) = asyncio.run(main())
    with MilvusClient(tmp_path / "a.db") as client:
        # Closed before it held the lock, the write says so; otherwise it is there as a whole.
        expected = 0 if isinstance(result, ClosedError) else result["insert_count"]
        assert client.get_collection_stats("c") == {"row_count": expected}
        assert client.verify() == []

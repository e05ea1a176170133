"""Programs that fork with a database open. Acknowledged keys are appended to a file beside it."""

import asyncio
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from elanus import AsyncMilvusClient, DocumentStore, MilvusClient, storage
from elanus.engine.upkeep._background import Background
from elanus.errors import ForkedHandleError, StorageError
from elanus.storage import Connection
from elanus.storage.file import _apart, _fork

NAME = "rows"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


def row(key):
    return {"id": key, "vector": [float(key), 1.0], "note": f"n{key}"}


def insert(client, path, *keys):
    for key in keys:
        client.insert(NAME, row(key))
        note(path, key)


def note(path, key):
    log = os.open(f"{path}.keys", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, b"%d\n" % key)
    os.close(log)


def keys_of(number, count=10):
    """Keys that only one process uses."""
    return range(number * 1000, number * 1000 + count)


def child(work, *args):
    """Fork; the child does the work, and ends without running what the parent left to be run."""
    number = os.fork()
    if number == 0:
        try:
            work(*args)
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is reported
            print(f"child: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return number


def wait(*children):
    for number in children:
        assert os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) == 0, "a child failed"


def opened_again(path):
    client = MilvusClient(path)
    client.search(NAME, [[1.0, 1.0]])

    def work():
        own = MilvusClient(path)
        insert(own, path, *keys_of(1, 50))
        own.close()

    forked = child(work)
    insert(client, path, *keys_of(2, 3))
    client.close()
    wait(forked)


def inherited(path):
    client = MilvusClient(path)
    insert(client, path, 1)

    def work(number):
        assert client.get(NAME, 1)[0]["note"] == "n1"
        insert(client, path, *keys_of(number))
        assert len(client.search(NAME, [[1.0, 1.0]], limit=5)[0]) == 5
        assert client.verify() == []

    forked = [child(work, number) for number in (1, 2, 3)]
    insert(client, path, *keys_of(4))
    wait(*forked)
    assert client.verify() == []
    client.close()


def busy_threads(path):
    client = MilvusClient(path)
    ended = threading.Event()

    def write(first):
        key = first
        while not ended.is_set():
            insert(client, path, key)
            key += 1

    def read():
        while not ended.is_set():
            client.search(NAME, [[1.0, 1.0]], output_fields=["note"])
            client.query(NAME, "id < 100", limit=3)

    threads = [
        threading.Thread(target=write, args=(500_000,)),
        threading.Thread(target=write, args=(600_000,)),
        threading.Thread(target=read),
        threading.Thread(target=read),
    ]
    for thread in threads:
        thread.start()

    def work(number):
        insert(client, path, *keys_of(number, 3))
        with MilvusClient(path) as own:
            insert(own, path, *keys_of(number + 100, 3))
        client.close()

    for number in range(8):
        wait(child(work, number))
    ended.set()
    for thread in threads:
        thread.join()
    client.close()


def forks_of_forks(path):
    client = MilvusClient(path)
    insert(client, path, 1)

    def work(number):
        insert(client, path, *keys_of(number, 5))
        if number < 4:
            wait(child(work, number + 1))
        with MilvusClient(path) as own:
            insert(own, path, *keys_of(number + 50, 5))

    forked = child(work, 1)
    insert(client, path, *keys_of(70, 5))
    wait(forked)
    client.close()


def closing_child(path):
    client = MilvusClient(path)
    insert(client, path, 1)
    wait(child(client.close))
    insert(client, path, *keys_of(1))
    wait(child(lambda: None))
    insert(client, path, *keys_of(2))
    client.close()


def dying_parent(path):
    client = MilvusClient(path)
    insert(client, path, 1)
    reading, writing = os.pipe()

    def work():
        os.read(reading, 1)  # until the parent is gone, or about to
        insert(client, path, *keys_of(1, 20))
        with MilvusClient(path) as own:
            insert(own, path, *keys_of(2, 20))
        os.close(writing)

    child(work)
    insert(client, path, *keys_of(3, 5))
    os.write(writing, b"x")
    os.kill(os.getpid(), signal.SIGKILL)


def writing_parent_dies(path):
    """The parent forks while a thread of it writes, and dies in the write."""
    client = MilvusClient(path)
    big = [row(key) for key in range(100_000, 120_000)]
    threading.Thread(target=lambda: client.insert(NAME, big), daemon=True).start()

    def work():
        time.sleep(0.2)
        insert(client, path, *keys_of(1, 3))

    child(work)
    os.kill(os.getpid(), signal.SIGKILL)


def memory(path):
    client = MilvusClient(":memory:")
    client.create_collection(NAME, dimension=2)
    client.insert(NAME, row(1))

    def work():
        for call in (client.list_collections, lambda: client.insert(NAME, row(2))):
            with pytest.raises(ForkedHandleError, match=f"a fork, by process {os.getppid()}"):
                call()
        with MilvusClient(":memory:") as own:
            own.create_collection("own", dimension=2)
            own.insert("own", row(1))
        with MilvusClient(path) as own:
            insert(own, path, 1)
        client.close()

    wait(child(work))
    assert len(client.query(NAME)) == 1
    client.close()


def asynchronous(path):
    client = AsyncMilvusClient(path)

    async def use(number):
        for key in keys_of(number):
            await client.insert(NAME, row(key))
            note(path, key)
        assert len(await client.query(NAME, ids=list(keys_of(number)))) == 10

    asyncio.run(use(1))
    wait(child(lambda: asyncio.run(use(2))))
    asyncio.run(use(3))
    asyncio.run(client.close())


def returning_from_a_handler(path):
    """The child goes on with the call that the fork was on top of: it ends, or says what it is."""
    client, parent, children = MilvusClient(path), os.getpid(), []

    def fork(*_):
        number = os.fork()
        if number:
            children.append(number)
        else:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(60)  # kills whoever hangs

    signal.signal(signal.SIGALRM, fork)
    for turn in range(20):
        signal.setitimer(signal.ITIMER_REAL, 0.001 + turn * 0.0002)
        while len(children) <= turn:
            try:
                insert(client, path, 600_000 + turn)
            except ForkedHandleError:
                os._exit(7)
            if os.getpid() != parent:
                os._exit(0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    outcomes = {os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) for number in children}
    assert outcomes <= {0, 7}, outcomes
    client.close()


def at_every_line(path):
    """The same, at each line of storage that a call passes, one fork a line."""
    _fork._PASSING_SECONDS = _apart._PATIENCE = 0.05
    client = MilvusClient(path, durability="normal")
    fork_at_every_line(lambda: client.query(NAME, "id < 0"))
    fork_at_every_line(lambda: client.upsert(NAME, row(2)))
    insert(client, path, 1)
    client.close()
    fork_at_every_line(lambda: MilvusClient(path, durability="normal").close())
    with MilvusClient(":memory:") as in_memory:
        in_memory.create_collection(NAME, dimension=2)
        fork_at_every_line(lambda: in_memory.upsert(NAME, row(1)))
        fork_at_every_line(lambda: in_memory.query(NAME, "id < 0"))


def fork_at_every_line(call):
    parent, rooms = os.getpid(), Path(storage.__file__).parent
    line, outcomes = 0, []

    def trace(frame, event, _):
        nonlocal left
        if not Path(frame.f_code.co_filename).is_relative_to(rooms):
            return None
        left -= 1
        if left == 0:
            sys.settrace(None)
            number = os.fork()
            if number:
                outcomes.append(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]))
            else:
                signal.alarm(20)  # kills whoever hangs
        return trace if left > 0 else None

    while len(outcomes) == line:
        line += 1
        left = line
        for holder in _fork._alive(_fork._process.holders):
            holder.before_fork()  # closes the connections
        sys.settrace(trace)
        try:
            call()
        except ForkedHandleError:
            os._exit(7)
        finally:
            sys.settrace(None)
        if os.getpid() != parent:
            os._exit(0)
    assert line > 20
    assert set(outcomes) <= {0, 7}, outcomes


def held_elsewhere(path):
    """A thread is inside SQLite for longer than a fork waits, and the forking one holds a cursor.

    The child may use nothing of it, frees nothing of it, and ends as any process.
    """
    _fork._PATIENCE_IN_VAIN = 0.3
    client = MilvusClient(path)
    insert(client, path, *range(10))
    file, held, begun = client._database.file, [], threading.Event()

    def count():
        with suppress(StorageError), file.read() as db:
            held.append(db)
            begun.set()
            db.execute(ENDLESS)

    busy = threading.Thread(target=count, daemon=True)
    busy.start()
    begun.wait()
    with file.read() as db:
        cursor = db.execute("SELECT 1 UNION SELECT 2")
        number = os.fork()
        if number == 0:
            signal.alarm(20)  # kills whoever hangs
            for use in (
                lambda: db.execute("SELECT 1"), lambda: db.in_transaction, lambda: next(cursor),
                lambda: [*cursor], lambda: MilvusClient(path), client.list_collections,
            ):  # fmt: skip
                with pytest.raises(ForkedHandleError):
                    use()
            db.close()
            sys.exit(7)
    held[0].interrupt()
    assert code_of(number) == 7
    busy.join()
    client.close()


def closed_elsewhere(path):
    """A thread that folds the log into the file, which may take long, is waited for."""
    _fork._PASSING_SECONDS = 0.1
    client, begun = MilvusClient(path), threading.Event()
    insert(client, path, 1)
    turns = client._database.file._turns
    end_log = turns.end_log

    def end_slowly(db):
        begun.set()
        time.sleep(0.5)
        end_log(db)

    turns.end_log = end_slowly
    closing = threading.Thread(target=client.close)
    closing.start()
    begun.wait()
    wait(child(lambda: _in_a_pool(path, 1)))
    closing.join()


def waiting_for_the_background(path):
    """A handler forks on top of a wait for the background, which stays in the parent."""
    note_one(path)
    background, done, children = Background(), threading.Event(), []

    def fork(*_):
        children.append(os.fork())
        if children[0]:
            done.set()
        else:
            signal.alarm(20)  # kills whoever hangs

    signal.signal(signal.SIGUSR1, fork)
    background.request("slow", lambda _: done.wait())
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    background.wait("slow")
    if children == [0]:
        os._exit(0)
    wait(*children)
    background.close()


def inside_sqlite(path):
    """A handler forks where SQLite waits for a lock: its child cannot go on there, and ends."""
    note_one(path)
    other, db, children = Connection(), Connection(), []
    for each in (other, db):
        each.connect(f"file:{path}.other")
        each.wait_for(20, lambda: False)
    other.execute("BEGIN EXCLUSIVE")

    def fork(*_):
        children.append(os.fork())
        if children[0]:
            other.execute("ROLLBACK")
        else:
            signal.alarm(20)  # kills whoever hangs

    signal.signal(signal.SIGALRM, fork)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    db.execute("BEGIN EXCLUSIVE")
    if children == [0]:
        os._exit(1)
    assert code_of(*children) == os.EX_SOFTWARE


def note_one(path):
    with MilvusClient(path) as client:
        insert(client, path, 1)


def code_of(number):
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def in_a_handler(path):
    """A fork in a signal handler, on top of a call that uses SQLite in the same thread."""
    client = MilvusClient(path)
    insert(client, path, *range(200))
    outcomes = []

    def work():
        try:
            with MilvusClient(path) as own:
                insert(own, path, 10_000 + os.getpid())
        except ForkedHandleError:
            os._exit(7)

    def fork(*_):
        number = child(work)
        outcomes.append(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]))

    signal.signal(signal.SIGALRM, fork)
    for turn in range(30):
        signal.setitimer(signal.ITIMER_REAL, 0.0005 + turn * 0.0003)
        while len(outcomes) <= turn:
            client.query(NAME, "id >= 0", output_fields=["note"], limit=150)
            insert(client, path, 500_000 + turn)
    assert set(outcomes) <= {0, 7}, outcomes
    client.close()


def struck(path):
    """A handler raises at a random moment of a fork."""
    parent = os.getpid()
    client, outcomes, armed = MilvusClient(path, timeout=10), [], []
    sys.unraisablehook = lambda _: outcomes.append("struck")

    def strike(*_):
        if armed and os.getpid() == parent:
            raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, strike)
    for turn in range(60):
        insert(client, path, turn)
        number = None
        try:
            armed.append(1)
            signal.setitimer(signal.ITIMER_REAL, random.random() * 0.002 + 1e-6)
            number = os.fork()
        except KeyboardInterrupt:
            pass
        finally:
            armed.clear()
        if os.getpid() != parent:
            try:
                insert(client, path, 10_000 + turn)
            except ForkedHandleError:
                os._exit(7)
            except BaseException as error:  # noqa: BLE001  # whatever it is, it is reported
                print(f"child: {error!r}", file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        if number is not None:
            outcomes.append(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]))
        with MilvusClient(path, timeout=10) as own:
            assert own.get(NAME, turn)
    assert {0, "struck"} <= set(outcomes) <= {0, 7, "struck"}, outcomes
    client.close()


def opening_threads(path):
    """Threads open, write and close files at the moment of the fork."""
    ended = threading.Event()

    def use(first):
        key = first
        while not ended.is_set():
            with MilvusClient(path) as own:
                insert(own, path, key)
            key += 1

    threads = [threading.Thread(target=use, args=(number * 100_000,)) for number in (5, 6)]
    for thread in threads:
        thread.start()

    def work(number):
        with MilvusClient(path) as own:
            insert(own, path, *keys_of(number, 3))

    for number in range(8):
        wait(child(work, number))
    ended.set()
    for thread in threads:
        thread.join()


def log_ended_meanwhile(path):
    """After a fork nobody here has a connection; so another process may end and remove the log."""
    client, reading, writing = MilvusClient(path), *os.pipe()
    insert(client, path, 1)

    def work():
        with MilvusClient(path) as own:
            insert(own, path, 2)
            os.read(reading, 1)

    first = child(work)
    while len(client.query(NAME, "id == 2")) == 0:
        time.sleep(0.01)
    wait(child(lambda: None))
    os.write(writing, b"x")
    wait(first)
    assert not Path(f"{path}-wal").exists()
    time.sleep(1.1)  # only after a second a read looks whether the files are the same
    assert {row["id"] for row in client.query(NAME)} == {1, 2}
    insert(client, path, 3)
    client.close()


def _in_a_pool(path, number):
    with MilvusClient(path) as own:
        insert(own, path, *keys_of(number, 3))


def pool(path):
    client = MilvusClient(path)
    insert(client, path, 1)
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(2, mp_context=context) as workers:
        for done in [workers.submit(_in_a_pool, path, number) for number in range(2, 8)]:
            done.result()
        insert(client, path, *keys_of(8, 3))
    client.close()


def store(path):
    shared = DocumentStore(client=MilvusClient(path), collection="texts")
    shared.add(["an owl"], ids=["owl"])
    with MilvusClient(path) as client:
        insert(client, path, 1)

    def work():
        shared.add(["a kite"], ids=["kite"])
        assert {hit.id for hit in shared.search("kite owl", mode="text")} == {"owl", "kite"}

    wait(child(work))
    assert {hit.id for hit in shared.search("kite owl", mode="text")} == {"owl", "kite"}
    shared.close()


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])

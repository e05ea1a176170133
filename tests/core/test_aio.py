"""A call and its asynchronous twin: one text, the same results and the same errors."""

import asyncio
import inspect
import subprocess
import sys
import threading

import pytest

from elanus import AsyncMilvusClient, DocumentStore
from elanus.aio import HasWorker, Worker, arun, in_thread, run, step, step_of, twin
from elanus.errors import ClosedError, StorageError
from elanus.storage import ending


class Counter:
    """Counts, on whichever thread."""

    def __init__(self):
        self.threads = []

    def add(self, number, *, twice=False):
        """The number, or twice that."""
        self.threads.append(threading.current_thread().name)
        if number < 0:
            raise ValueError(number)
        return number * (1 + twice)

    aadd = twin(add)


class Threaded(HasWorker, Counter):
    def __init__(self):
        super().__init__()
        self._worker = Worker("counting")

    def __repr__(self):
        return "Threaded()"


@pytest.fixture
def threaded():
    made = Threaded()
    yield made
    made.worker.close()


def test_a_twin_has_the_arguments_the_result_and_the_docstring_of_its_call():
    assert inspect.signature(Counter.aadd).parameters == inspect.signature(Counter.add).parameters
    assert inspect.iscoroutinefunction(Counter.aadd)
    assert inspect.getdoc(Counter.aadd) == "The number, or twice that."
    assert asyncio.run(Counter().aadd(3, twice=True)) == 6
    with pytest.raises(ValueError, match="-1"):
        asyncio.run(Counter().aadd(-1))


def test_a_twin_runs_on_the_threads_of_its_object_and_else_on_those_of_the_loop(threaded):
    other = Counter()
    asyncio.run(threaded.aadd(1))
    asyncio.run(other.aadd(1))
    assert [name.startswith("counting") for name in threaded.threads + other.threads] == [
        True,
        False,
    ]
    assert threading.current_thread().name not in other.threads


def test_the_twin_of_a_subclass_runs_its_own_call():
    class Minus(Counter):
        def add(self, number, *, twice=False):
            return -super().add(number, twice=twice)

    assert asyncio.run(Minus().aadd(2)) == -2


def test_a_closed_worker_names_the_object_and_the_call(threaded):
    threaded.worker.close()
    with pytest.raises(ClosedError, match=r"^Threaded\(\) is closed: cannot add; open it again$"):
        asyncio.run(threaded.aadd(1))


def test_walking_a_closed_store_names_the_store():
    store = DocumentStore(":memory:")
    store.close()

    async def walk():
        return [document async for document in store]

    with pytest.raises(ClosedError, match=r"^DocumentStore\(.* is closed"):
        asyncio.run(walk())


class Model:
    """Has a coroutine of its own for one of its calls."""

    def __init__(self):
        self.asked = []

    def encode(self, text):
        self.asked.append("blocking")
        if text == "odd":
            raise ValueError(text)
        return len(text)

    async def aencode(self, text):
        await asyncio.sleep(0)
        self.asked.append("awaited")
        if text == "odd":
            raise ValueError(text)
        return len(text)

    def label(self, number):
        return f"{number} letters on {threading.current_thread().name}"


def flow(model, texts, ended=None):
    try:
        found = []
        for text in texts:
            try:
                found.append((yield step_of(model, "encode", text)))
            except ValueError as error:
                found.append(str(error))
        return found, (yield step(model.label, None, len(found)))
    finally:
        if ended is not None:
            ended.append(True)


def test_a_flow_gives_the_same_in_both_forms_and_handles_the_errors_of_its_steps():
    model, here = Model(), threading.current_thread().name
    found, label = run(flow(model, ["kite", "odd", "owl"]))
    assert (found, label) == ([4, "odd", 3], f"3 letters on {here}")
    again, label = asyncio.run(arun(flow(model, ["kite", "odd", "owl"])))
    assert again == found
    assert label.startswith("3 letters on ")
    assert not label.endswith(here)
    assert model.asked == ["blocking"] * 3 + ["awaited"] * 3


def test_what_a_flow_does_not_handle_reaches_the_caller():
    def fails():
        yield step(Counter().add, None, -5)

    with pytest.raises(ValueError, match="-5"):
        run(fails())
    with pytest.raises(ValueError, match="-5"):
        asyncio.run(arun(fails()))


def test_steps_of_another_kind_are_made_by_whoever_runs_the_flow():
    def requests():
        first = yield "a"
        return [first, (yield "b")]

    async def answer(asked):
        return asked.upper()

    assert run(requests(), str.upper) == ["A", "B"]
    assert asyncio.run(arun(requests(), answer)) == ["A", "B"]


def test_a_cancelled_flow_ends_where_it_waits_and_begins_no_further_step():
    going, ended, model = threading.Event(), [], Model()

    def waits():
        try:
            yield step(going.wait, None, 60)
            yield step_of(model, "encode", "never")
        finally:
            ended.append(True)

    async def main():
        task = asyncio.create_task(arun(waits()))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del task
        going.set()

    asyncio.run(main())
    assert ended == [True]
    assert model.asked == []


def test_a_thread_of_the_loop_takes_every_argument():
    assert asyncio.run(in_thread(Counter().add, 2, twice=True)) == 4


_AFTER_MAIN = """
import asyncio, sys, threading
from contextvars import ContextVar
from elanus import AsyncMilvusClient, DocumentStore, KeyValueStore
from elanus.aio import in_thread

here = ContextVar("here", default="nowhere")

async def run():
    client = AsyncMilvusClient(sys.argv[1])
    async with DocumentStore(sys.argv[1]) as store:
        values = KeyValueStore(client=store.client)
        main = threading.main_thread()
        while main.is_alive():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        await values.aput({"a": "1"})
        here.set("there")
        print(await values.aget(["a"]), await in_thread(here.get), await client.list_collections())
        await values.aclose()
    await client.close()
    print("closed")

threading.Thread(target=lambda: asyncio.run(run())).start()
"""


def test_every_coroutine_goes_on_in_a_thread_that_outlives_the_main_one(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _AFTER_MAIN, tmp_path / "kb.db"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stderr, done.stdout) == ("", "['1'] there ['documents', 'key_values']\nclosed\n")


def test_where_no_thread_can_be_started_a_coroutine_says_so(threaded, monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(ending.AwaitedThread, "start", refuse)
        for _ in range(2):
            with pytest.raises(StorageError, match=r"no thread can be started, .*ulimit -u"):
                asyncio.run(threaded.aadd(1))
    assert asyncio.run(threaded.aadd(2)) == 2
    threaded.worker.wait()  # nothing is left that nobody runs


def test_at_the_end_of_the_interpreter_a_coroutines_read_goes_on_and_a_daemon_threads_does_not(
    tmp_path, monkeypatch
):
    client = AsyncMilvusClient(tmp_path / "kb.db")
    asyncio.run(client.create_collection("a", dimension=2))
    monkeypatch.setattr(ending.process, "ends", True)
    monkeypatch.setattr(ending, "_HOLD_SECONDS", 3.0)
    held = threading.Thread(target=client.blocking.query, args=["a"], daemon=True)
    held.start()
    assert asyncio.run(client.query("a")) == []
    assert held.is_alive()
    held.join()
    asyncio.run(client.close())

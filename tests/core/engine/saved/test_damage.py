"""Files of the cache that are damaged, cut or gone: never believed, never warned of twice."""

import os
import shutil
import subprocess
import sys
import textwrap
import time

import apsw
import numpy as np
import pytest

from elanus import MilvusClient
from elanus.engine._parts import DenseKey
from elanus.engine.upkeep._thresholds import Pauses
from elanus.errors import DatabaseFullError

DIM = 16
QUERY = np.random.default_rng(9).normal(size=DIM)


@pytest.fixture(autouse=True)
def _small_texts(thresholds):
    thresholds(text_rows=100)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.db"


def state_of(client):
    client.query("c", limit=1)
    return next(iter(client._database.commits.states.values()))


def search(client, k=10, field="vector"):
    query = QUERY if field == "vector" else "black common"
    (hits,) = client.search("c", [query], anns_field=field, limit=k)
    return [(hit.id, hit.distance) for hit in hits]


def index_of(client):
    parts = state_of(client).view.parts
    return next(part for key, part in parts.items() if isinstance(key, DenseKey))


def is_mapped(client):
    return not index_of(client).rows.base.flags.writeable


def wait_for(client, what):
    client._database._upkeep.background.wait((state_of(client).number, what))


def files(path, kind):
    return sorted(path.with_name(f"{path.name}-cache").glob(f"*.{kind}"))


def flip_signs(path):
    """Damage that no length shows: the squares of the components stay as they are."""
    (file,) = files(path, "f32")
    content = bytearray(file.read_bytes())
    for place in range(3, len(content), 4):
        content[place] ^= 0x80
    with file.open("r+b") as damaged:  # in place: to make it shorter is another test
        damaged.write(content)


def registered(path):
    db = apsw.Connection(str(path))
    try:
        return {name for (name,) in db.execute("SELECT id FROM snapshots")}
    finally:
        db.close()


@pytest.fixture
def saved(path, fill):
    """The right answer; everything was saved, terms too."""
    with fill(path) as client:
        search(client, field="terms")
        wait_for(client, "save")
        return search(client, k=600)


# --- damaged vectors -----------------------------------------------------------------------------


def test_damaged_vectors_are_not_believed_by_who_opens_read_only(path, saved):
    flip_signs(path)
    with MilvusClient(path, read_only=True) as client:
        search(client)
        wait_for(client, "check")
        assert search(client, k=600) == saved
        client.release_collection("c")
        assert search(client, k=600) == saved
        assert not is_mapped(client)
        assert client.verify() == []


def test_damaged_vectors_are_not_believed_while_the_file_is_locked(path, saved, thresholds, caplog):
    thresholds(pauses=Pauses(first=0.01))
    flip_signs(path)
    db = apsw.Connection(str(path))
    try:
        with MilvusClient(path, timeout=0.1) as client:
            db.execute("BEGIN IMMEDIATE")
            search(client)
            wait_for(client, "check")
            assert search(client, k=600) == saved
            db.execute("ROLLBACK")
            # Unregistered, when that can be done, and perhaps others saved instead.
            tasks = client._database._upkeep.background._tasks
            for name in list(tasks):
                client._database._upkeep.background.wait(name)
            assert not tasks
    finally:
        db.close()
    with MilvusClient(path) as client:
        search(client)
        wait_for(client, "check")
        assert search(client, k=600) == saved
        assert caplog.text.count("the saved vectors of") == 1


def test_damaged_vectors_are_not_believed_on_a_full_disk(path, saved, monkeypatch):
    def full(*_):
        raise DatabaseFullError("no space left")

    flip_signs(path)
    before = registered(path)
    with MilvusClient(path) as client:
        monkeypatch.setattr("elanus.engine.saved._cache.unregister", full)
        search(client)
        wait_for(client, "check")
        assert search(client, k=600) == saved
        assert not is_mapped(client)
        monkeypatch.undo()
        wait_for(client, "check")
        wait_for(client, "repair")
        assert not registered(path) & before


@pytest.mark.parametrize("read_only", [False, True])
def test_who_holds_damaged_vectors_hears_of_it_from_another_process(path, saved, read_only):
    with MilvusClient(path, read_only=read_only) as holder:
        search(holder)
        wait_for(holder, "check")
        assert is_mapped(holder)
        flip_signs(path)
        script = textwrap.dedent(
            f"""
            from elanus import MilvusClient
            client = MilvusClient({os.fspath(path)!r})
            client.search("c", [{QUERY.tolist()}], anns_field="vector")
            (state,) = client._database.commits.states.values()
            client._database._upkeep.background.wait((state.number, "check"))
            client.close()
            """
        )
        before = registered(path)
        subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
        assert not registered(path) & before
        search(holder)
        wait_for(holder, "check")
        assert search(holder, k=600) == saved
        assert not is_mapped(holder)


# --- cut files -----------------------------------------------------------------------------------


_CUT = """
import os, pathlib, random, sys, faulthandler
faulthandler.enable()
import numpy as np
from elanus import MilvusClient
from elanus.engine.upkeep._tasks import BackgroundUpkeep
from elanus.engine.upkeep._thresholds import Thresholds
BackgroundUpkeep.thresholds = Thresholds(graph_rows=300, graph_values=0, text_rows=100)
path, kind, read_only = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "True"
query = [float(x) for x in sys.argv[4].split(",")]
def found(client):
    (dense,) = client.search("c", [query], anns_field="vector", limit=600)
    (text,) = client.search("c", ["black common"], anns_field="terms", limit=600)
    return [(h.id, h.distance) for h in dense], [(h.id, h.distance) for h in text]
with MilvusClient(path, read_only=read_only) as client:
    before = found(client)
    for file in path.with_name("a.db-cache").glob(f"*.{kind}"):
        os.truncate(file, random.choice([0, 100, file.stat().st_size // 2]))
    assert found(client) == before
    client.load_collection("c")
    assert found(client) == before
    assert client.verify() == []
"""


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("kind", ["f32", "arrays"])
def test_files_that_are_cut_while_they_are_mapped_do_not_kill_the_process(
    path, saved, kind, read_only
):
    values = ",".join(map(str, QUERY))
    command = [sys.executable, "-c", _CUT, path, kind, str(read_only), values]
    done = subprocess.run(command, check=False, timeout=120, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with MilvusClient(path) as client:
        assert search(client, k=600) == saved


# --- files that are gone -------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["all", "f32", "arrays", "one"])
def test_a_missing_file_is_warned_of_once(path, saved, caplog, what):
    every = files(path, "*[s2]")
    gone = {"all": every, "one": files(path, "arrays")[:1]}.get(what) or files(path, what)
    for file in gone:
        file.unlink()
    warnings = []
    for _ in range(3):
        caplog.clear()
        with MilvusClient(path) as client:
            assert search(client, k=600) == saved
            wait_for(client, "repair")
        warnings.append([r for r in caplog.records if "ignoring" in r.message])
    assert len(warnings[0]) >= 1
    assert warnings[1:] == [[], []]


def test_vectors_whose_file_is_gone_are_not_damaged_where_they_are_mapped(path, saved, caplog):
    with MilvusClient(path) as client:
        assert search(client, k=600) == saved
        assert is_mapped(client)
        for file in files(path, "f32"):
            file.unlink()
        state = state_of(client)
        client._database._upkeep.cache.check(state, lambda: False)
        assert is_mapped(client)
        assert search(client, k=600) == saved
        assert [r.message for r in caplog.records if "damaged" in r.message] == []
    caplog.clear()
    with MilvusClient(path) as client:
        assert search(client, k=600) == saved
    assert caplog.records == []


def test_what_another_process_removed_is_not_registered_again(path, saved, rows, fill, caplog):
    with MilvusClient(path) as client:
        search(client)
        search(client, field="terms")
        client.load_collection("c")
        for file in files(path, "arrays"):
            file.unlink()
        client.insert("c", rows(600, 1_000))
        search(client)
        search(client, field="terms")
        wait_for(client, "save")
        client._database._upkeep.cache.save(state_of(client))
        exact = search(client, k=1_000)
    caplog.clear()
    with MilvusClient(path) as client:
        assert search(client, k=1_000) == exact
        search(client, field="terms")
        client.load_collection("c")
        assert client.verify() == []
    assert [r.message for r in caplog.records] == []


def test_files_that_vanish_before_they_are_registered_are_not(path, saved, rows, monkeypatch):
    with MilvusClient(path) as client:
        client.insert("c", rows(600, 1_000))
        search(client)
        cache = client._database._upkeep.cache
        for kind in ("f32", "arrays"):
            register = type(cache)._register

            def vanish(self, *args, kind=kind, register=register):
                for file in files(path, kind):
                    file.unlink()
                return register(self, *args)

            before = registered(path)
            with monkeypatch.context() as patched:
                patched.setattr(type(cache), "_register", vanish)
                cache.save(state_of(client))
            assert registered(path) == before
        cache.save(state_of(client))
        exact = search(client, k=1_000)
    with MilvusClient(path) as client:
        assert search(client, k=1_000) == exact
        assert is_mapped(client)


def test_the_folder_may_be_deleted_at_any_time(path, saved, rows):
    """While it is open, between all that is done."""
    with MilvusClient(path) as client:
        number = 600
        for turn in range(12):
            if turn % 3:
                client.insert("c", rows(number, number + 200))
                number += 200
            if turn % 2:
                client.load_collection("c")
            search(client, field="terms")
            shutil.rmtree(f"{path}-cache", ignore_errors=True)
            assert len(search(client, k=number)) == number
            time.sleep(0.01)
        assert client.verify() == []
    with MilvusClient(path) as client:
        assert len(search(client, k=number)) == number
        assert client.verify() == []

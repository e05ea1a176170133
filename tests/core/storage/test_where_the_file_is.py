"""A handle belongs to one file, wherever the program goes and whatever happens to the file."""

import asyncio
import copy
import pickle
import shutil

import apsw
import pytest

from elanus import AsyncMilvusClient, MilvusClient
from elanus.errors import DatabaseCorruptError, DatabaseReplacedError


def _row(key):
    return {"id": key, "vector": [float(key), 1.0], "n": key}


def _keys(path):
    with MilvusClient(path) as client:
        assert client.verify() == []
        return [row["id"] for row in client.query("c", output_fields=["id"])]


def test_a_relative_path_means_the_same_file_after_a_change_of_folder(tmp_path, monkeypatch):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        with MilvusClient(tmp_path / folder / "kb.db") as client:
            client.create_collection("c", dimension=2)
    monkeypatch.chdir(tmp_path / "a")
    client = AsyncMilvusClient("kb.db")
    monkeypatch.chdir(tmp_path / "b")

    async def insert_all():
        await asyncio.gather(*(client.insert("c", _row(i)) for i in range(1, 9)))
        await client.close()

    asyncio.run(insert_all())
    assert _keys(tmp_path / "a" / "kb.db") == list(range(1, 9))
    assert _keys(tmp_path / "b" / "kb.db") == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("happening", ["replaced", "deleted", "moved"])
def test_a_write_to_a_file_that_is_gone_is_never_acknowledged(tmp_path, happening):
    path = tmp_path / "kb.db"
    client = MilvusClient(path)
    client.create_collection("c", dimension=2)
    client.insert("c", _row(1))
    if happening == "deleted":
        path.unlink()
    else:
        path.rename(tmp_path / "old.db")
    if happening == "replaced":
        shutil.copy(tmp_path / "old.db", path)
    with pytest.raises(DatabaseReplacedError, match=r"kb\.db was replaced or deleted"):
        client.insert("c", _row(2))
    with pytest.raises(DatabaseReplacedError):
        client.delete("c", ids=[1])
    client.close()


def test_a_damaged_row_is_named(tmp_path):
    path = tmp_path / "kb.db"
    with MilvusClient(path) as client:
        client.create_collection("c", dimension=2)
        client.insert("c", [_row(1), _row(2)])
    with apsw.Connection(str(path)) as db:
        db.execute("UPDATE c1_rows SET data = x'67617262616765' WHERE pk = 2")
    db.close()
    with MilvusClient(path) as client:
        assert client.get("c", 1)[0]["n"] == 1
        with pytest.raises(DatabaseCorruptError, match="row 2 of the file is damaged"):
            client.get("c", 2)
        with pytest.raises(DatabaseCorruptError, match="row 2 of the file is damaged"):
            client.query("c", "n == 1")
        assert len(client.verify()) == 1


@pytest.mark.parametrize("how", [pickle.dumps, copy.deepcopy])
def test_an_open_client_is_neither_pickled_nor_copied(how):
    with MilvusClient(":memory:") as client, pytest.raises(TypeError, match="open :memory: again"):
        how(client)

"""What damage inside a file does that SQLite cannot see, and the upgrade that brings checksums."""

import re
import sqlite3
from pathlib import Path

import pytest

from elanus import DataType, Function, FunctionType, MilvusClient
from elanus.engine._state import RestoredError
from elanus.errors import DatabaseCorruptError, DatabaseFormatError, DataNotMatchException

DAMAGED = "is damaged.*restore it from a backup"


def create(client, name="c", key=DataType.INT64):
    schema = MilvusClient.create_schema(enable_dynamic_field=True)
    schema.add_field(
        "id", key, is_primary=True, **({} if key is DataType.INT64 else {"max_length": 9})
    )
    schema.add_field("text", DataType.VARCHAR, max_length=1000, enable_analyzer=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=3)
    schema.add_field("w", DataType.FLOAT_VECTOR, dim=2, nullable=True)
    schema.add_field("s", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("bm", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(Function("bm25", FunctionType.BM25, ["text"], ["bm"]))
    params = MilvusClient.prepare_index_params()
    params.add_index("v", "FLAT", metric_type="L2")
    params.add_index("w", "FLAT", metric_type="COSINE")
    params.add_index("s", "SPARSE_INVERTED_INDEX", metric_type="IP")
    params.add_index("bm", "SPARSE_INVERTED_INDEX", metric_type="BM25")
    client.create_collection(name, schema=schema, index_params=params)


def row(number, key=DataType.INT64):
    return {
        "id": number if key is DataType.INT64 else f"k{number}", "text": f"word{number % 7} common",
        "v": [1.0, number, 3.0], "w": None if number % 3 == 0 else [number, 2.0], "s": {1: 1.0, 5: number},
        "n": number,
    }  # fmt: skip


@pytest.fixture(params=[DataType.INT64, DataType.VARCHAR])
def closed(path, request):
    """Ten rows, of which none was deleted; written and closed."""
    with MilvusClient(path) as client:
        create(client, key=request.param)
        client.insert("c", [row(number, request.param) for number in range(1, 11)])
        assert client.verify() == []
    return path


def changed(path, *statements):
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def calls(client):
    """Each reads all of what the fixture wrote."""
    key = client.describe_collection("c")["fields"][0]["type"]
    one = 4 if key is DataType.INT64 else "k4"
    everything = ["id", "text", "n", "v", "w", "s"]
    yield lambda: client.query("c", output_fields=everything)
    yield lambda: client.get("c", one, output_fields=everything)
    yield lambda: client.query("c", "n > 1", output_fields=["id"])
    yield lambda: client.query("c", "text_match(text, 'word1')", output_fields=["id"])
    for field, data in (
        ("v", [1.0, 1, 1]),
        ("w", [1.0, 1]),
        ("s", {1: 1.0, 5: 2.0}),
        ("bm", "word1"),
    ):
        yield lambda field=field, data=data: client.search("c", [data], anns_field=field, limit=10)


def outcomes(path):
    """What the calls give on a fresh handle: a result, or the text of the error."""
    found = []
    with MilvusClient(path) as client:
        for call in calls(client):
            try:
                found.append(call())
            except DatabaseCorruptError as error:
                assert "row 4 of the file is damaged" in str(error)  # noqa: PT017
                found.append("damaged")
        faults = client.verify()
    return found, faults


@pytest.mark.parametrize("column", ["data", "pk", "v2", "w3", "s4", "t1"])
def test_each_flipped_bit_is_noticed_by_whoever_reads_it_and_by_verify(closed, column):
    column = {"w3": "v3", "s4": "v4"}.get(column, column)
    table = {"d": "c1_rows", "p": "c1_rows", "v": "c1_vectors", "t": "c1_terms"}[column[0]]
    sound, faults = outcomes(closed)
    assert faults == []
    assert "damaged" not in sound
    db = sqlite3.connect(closed)
    (value,) = db.execute(f"SELECT {column} FROM {table} WHERE row = 4").fetchone()
    db.close()
    raw = (
        value
        if isinstance(value, bytes)
        else value.to_bytes(8, "big")
        if isinstance(value, int)
        else value.encode()
    )
    for bit in range(0, len(raw) * 8, 1 if len(raw) < 9 else 5):
        spoiled = bytearray(raw)
        spoiled[bit // 8] ^= 1 << bit % 8
        put = bytes(spoiled)
        if isinstance(value, int):
            put = int.from_bytes(put, "big", signed=True)
        elif isinstance(value, str):
            put = put.decode("latin-1")
        if put == (row(4)["id"] if isinstance(value, int) else value):
            continue
        db = sqlite3.connect(closed)
        try:
            db.execute(f"UPDATE {table} SET {column} = ? WHERE row = 4", (put,))
        except sqlite3.IntegrityError:  # the key of another row
            db.close()
            continue
        db.commit()
        db.close()
        found, faults = outcomes(closed)
        assert "damaged" in found, put
        assert all(b in (a, "damaged") for a, b in zip(sound, found, strict=True)), put
        assert len(faults) == 1, faults
        assert "row 4" in faults[0]
    changed_back(closed, table, column, value)
    assert outcomes(closed) == (sound, [])


def changed_back(path, table, column, value):
    db = sqlite3.connect(path)
    db.execute(f"UPDATE {table} SET {column} = ? WHERE row = 4", (value,))
    db.commit()
    db.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE c1_vectors SET v2 = NULL, v2_sum = NULL WHERE row = 4",
        "UPDATE c1_vectors SET v4 = NULL, v4_sum = NULL WHERE row = 4",
        "UPDATE c1_terms SET t1 = NULL, t1_sum = NULL WHERE row = 4",
        "UPDATE c1_vectors SET v2_sum = NULL WHERE row = 4",
        "UPDATE c1_vectors SET v3_sum = NULL WHERE row = 4",
        "UPDATE c1_vectors SET v4_sum = NULL WHERE row = 4",
        "UPDATE c1_terms SET t1_sum = NULL WHERE row = 4",
        "UPDATE c1_rows SET data_sum = NULL WHERE row = 4",
        "UPDATE c1_rows SET key_sum = NULL WHERE row = 4",
    ],
)
def test_nothing_that_must_be_there_is_missed_without_an_error(closed, statement):
    # One byte of damage makes NULL of a column, or of all.
    sound, _ = outcomes(closed)
    changed(closed, statement)
    found, faults = outcomes(closed)
    assert "damaged" in found
    assert all(b in (a, "damaged") for a, b in zip(sound, found, strict=True))
    assert len(faults) == 1, faults
    assert "row 4" in faults[0]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE c1_rows SET data = 'text' WHERE row = 4",
        "UPDATE c1_rows SET data = 7 WHERE row = 4",
        "UPDATE c1_rows SET data = x'' WHERE row = 4",
        "UPDATE c1_rows SET pk = x'00' WHERE row = 4",
        "UPDATE c1_rows SET pk = 1.5 WHERE row = 4",
        "UPDATE c1_rows SET data_sum = 'x' WHERE row = 4",
        "UPDATE c1_rows SET row = 9223372036854775807 WHERE row = 4",
        "UPDATE c1_rows SET row = -5 WHERE row = 4",
        "DELETE FROM c1_rows WHERE row = 4",
        "UPDATE c1_vectors SET v2 = NULL WHERE row = 4",
        "UPDATE c1_vectors SET v2 = x'0000' WHERE row = 4",
        "UPDATE c1_vectors SET v2 = 'a' WHERE row = 4",
        "UPDATE c1_vectors SET v4 = x'000001' WHERE row = 4",
        "UPDATE c1_vectors SET row = 900 WHERE row = 4",
        "DELETE FROM c1_vectors WHERE row = 4",
        "UPDATE c1_terms SET t1 = x'ffffffff01' WHERE row = 4",
        "UPDATE c1_terms SET t1 = x'ffffffff01', t1_sum = NULL WHERE row = 4",
        "UPDATE c1_terms SET t1 = 12 WHERE row = 4",
        "DELETE FROM c1_terms WHERE row = 4",
        "INSERT INTO c1_deletes(row) VALUES (4)",
        "INSERT INTO c1_deletes(row) VALUES ('four')",
        "UPDATE sqlite_sequence SET seq = 'many'",
        "UPDATE sqlite_sequence SET seq = 3 WHERE name = 'c1_rows'",
        "UPDATE sqlite_sequence SET seq = -3 WHERE name = 'c1_rows'",
        "UPDATE sqlite_sequence SET seq = 9223372036854775807 WHERE name = 'c1_rows'",
        "INSERT INTO sqlite_sequence VALUES ('c1_deletes', 9223372036854775807)",
        "DELETE FROM sqlite_sequence",
        "UPDATE c1_words_t1 SET number = -1 WHERE number = 1",
        "UPDATE c1_words_t1 SET number = 9999999999999 WHERE number = 1",
        "UPDATE c1_words_t1 SET text = x'00ff' WHERE number = 1",
        "DELETE FROM c1_words_t1",
        "DROP TABLE c1_words_t1",
        "DROP TABLE c1_rows",
        "DROP TABLE c1_vectors",
        "DROP TABLE c1_deletes",
        "DROP TABLE indexes",
        "DROP TABLE snapshots",
        "DROP TABLE state",
        "DELETE FROM state",
        "UPDATE state SET seq = 'x'",
        "UPDATE state SET seq = -9",
        "UPDATE state SET seq = 9223372036854775807",
        "UPDATE state SET catalogue = 9223372036854775807",
        "UPDATE state SET catalogue = x'00'",
        "UPDATE state SET catalogue = -1",
        "UPDATE collections SET definition = '{'",
        "UPDATE collections SET definition = '{', definition_sum = NULL",
        "UPDATE collections SET definition = '[]', definition_sum = NULL",
        "UPDATE collections SET definition = '{\"schema\": {}}', definition_sum = NULL",
        "UPDATE collections SET definition = replace(definition, '\"dim\": 3', '\"dim\": -3')",
        "UPDATE collections SET definition = replace(definition, 'text', 'tezt')",
        "UPDATE collections SET definition = x'ff'",
        "UPDATE collections SET name = 'b'",
        "UPDATE collections SET generation = 'x'",
        "UPDATE collections SET generation = 9223372036854775807",
        "UPDATE collections SET floor = 'x'",
        "UPDATE collections SET created = 'x'",
        "UPDATE indexes SET definition = '{}'",
        "UPDATE indexes SET definition = '{}', definition_sum = NULL",
        "UPDATE indexes SET definition = replace(definition, 'BM25', 'BM26'), definition_sum = NULL",
        "UPDATE indexes SET collection = 7",
        "DELETE FROM indexes",
        "DELETE FROM indexes WHERE name = 'v'",
        "UPDATE indexes SET name = 'u' WHERE name = 'v'",
        "INSERT INTO indexes SELECT 1, 'u', definition, NULL FROM indexes WHERE name = 'v'",
        "INSERT INTO snapshots VALUES ('a', 1, 0, 'slots', 'x', 'y', 'z', 1.5, x'00')",
    ],
)
def test_whatever_stands_in_the_tables_a_call_is_right_or_says_that_it_is_damaged(
    closed, statement
):
    changed(closed, statement)
    try:
        client = MilvusClient(closed)
    except DatabaseCorruptError:
        return
    with client:
        faults = client.verify()
        assert faults
        assert all(len(fault) <= 300 for fault in faults)
        for call in attempts(client):
            try:
                call()
            except DatabaseCorruptError as error:
                assert re.search(DAMAGED, str(error))  # noqa: PT017
        client.verify()


def attempts(client):
    yield client.list_collections
    yield lambda: client.describe_collection("c")
    yield lambda: client.query("c", output_fields=["*"])
    key = key_type(client)
    yield lambda: client.upsert("c", [row(number, key) for number in range(1, 30)])
    yield lambda: client.delete("c", ids=[row(4, key)["id"]])
    yield lambda: client.delete("c", filter="n == 7")
    if key is not None:
        yield from calls(client)
    yield lambda: client.create_collection("other", dimension=2)
    yield client.compact


def key_type(client):
    try:
        return client.describe_collection("c")["fields"][0]["type"]
    except DatabaseCorruptError:
        return None


def test_cells_in_another_order_end_every_walk(closed):
    db = sqlite3.connect(closed)
    roots = dict(
        db.execute("SELECT name, rootpage FROM sqlite_master WHERE name LIKE 'c1!_%' ESCAPE '!'")
    )
    db.close()
    whole = Path(closed).read_bytes()
    for table in ("c1_rows", "c1_vectors", "c1_terms"):
        spoiled = bytearray(whole)
        cells = (roots[table] - 1) * 16_384 + 8
        spoiled[cells : cells + 2], spoiled[cells + 2 : cells + 4] = (
            spoiled[cells + 2 : cells + 4], spoiled[cells : cells + 2],
        )  # fmt: skip
        Path(closed).write_bytes(spoiled)
        with MilvusClient(closed) as client:
            assert client.verify()
            refused = 0
            for call in calls(client):
                try:
                    call()
                except DatabaseCorruptError:
                    refused += 1
            assert refused


TREES = ["c1_rows", "sqlite_autoindex_c1_rows_1", "c1_vectors", "c1_terms", "c1_words_t1",
         "sqlite_autoindex_c1_words_t1_1"]  # fmt: skip


def lose_last_cell(path, tree):
    """Two bytes of damage: what SQLite reads of a page ends before its last cell."""
    db = sqlite3.connect(path)
    (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (tree,)).fetchone()
    db.close()
    page = bytearray(Path(path).read_bytes())
    place = (root - 1) * 16_384 + 3
    cells = int.from_bytes(page[place : place + 2], "big")
    page[place : place + 2] = (cells - 1).to_bytes(2, "big")
    Path(path).write_bytes(page)


def answers(client):
    found = []
    for call in calls(client):
        try:
            found.append(call())
        except DatabaseCorruptError as error:
            assert re.search(DAMAGED, str(error), re.DOTALL)  # noqa: PT017
            found.append("damaged")
    return found


@pytest.mark.parametrize("tree", TREES)
def test_a_page_that_loses_a_cell_gives_no_fewer_rows_without_an_error(closed, tree):
    sound, _ = outcomes(closed)
    lose_last_cell(closed, tree)
    with MilvusClient(closed) as client:
        found = answers(client)
        assert client.verify()
    assert "damaged" in found
    assert all(b in (a, "damaged") for a, b in zip(sound, found, strict=True))


def test_rows_that_came_since_the_last_look_are_all_there_or_the_file_is_damaged(closed):
    with MilvusClient(closed) as reader, MilvusClient(closed) as writer:
        key = key_type(reader)
        assert len(reader.query("c")) == 10
        writer.insert("c", [row(number, key) for number in range(11, 15)])
        writer.delete("c", ids=[row(12, key)["id"], row(2, key)["id"]])
        writer.upsert("c", row(3, key))
        assert len(reader.query("c")) == 12
        writer.delete("c", ids=[row(14, key)["id"], row(3, key)["id"]])
        assert len(reader.query("c")) == 10
        assert reader.verify() == []
    changed(closed, "UPDATE sqlite_sequence SET seq = 90 WHERE name = 'c1_rows'")
    # A gap among the numbers alone loses no row.
    with MilvusClient(closed) as reader, MilvusClient(closed) as writer:
        assert len(reader.query("c")) == 10
        writer.insert("c", row(20, key))
        assert len(reader.query("c")) == 11
        assert reader.verify() == []


def test_a_row_that_is_lost_between_two_looks_is_missed(closed):
    with MilvusClient(closed) as reader, MilvusClient(closed) as writer:
        key = key_type(reader)
        assert len(reader.query("c")) == 10
        writer.insert("c", [row(number, key) for number in range(11, 15)])
        with writer._database.file.write("lose a row") as db:
            (page,) = db.row("SELECT rootpage FROM sqlite_master WHERE name = 'c1_rows'")
            db.execute("PRAGMA writable_schema = 1")
            db.execute(
                "INSERT INTO sqlite_master VALUES('table', 'bare', 'bare', ?, "
                "'CREATE TABLE bare(row INTEGER PRIMARY KEY, pk, key_sum, data_sum, data)')",
                (page,),
            )
        changed(closed, "DELETE FROM bare WHERE row = 12")
        with pytest.raises(DatabaseCorruptError, match=r"13 rows, and its index more"):
            reader.query("c")


# --- what is no damage ---------------------------------------------------------------------------


def fail(_):
    raise KeyError("a mistake")


def half_written(file):
    with file.write("test") as db:
        db.execute("DELETE FROM c1_vectors")
        fail(db)


def test_a_mistake_stays_visible_in_a_sound_file_and_is_the_cause_in_a_damaged_one(closed):
    with MilvusClient(closed) as client:
        for action in (fail, lambda snapshot: fail(snapshot.db)):
            with pytest.raises(KeyError, match="a mistake"):
                client._database.commits.read("c", action)
        with pytest.raises(KeyError, match="a mistake"):
            half_written(client._database.file)
        assert len(client.query("c")) == 10
    changed(closed, "UPDATE c1_rows SET data = x'00' WHERE row = 4")
    with MilvusClient(closed) as client:
        with pytest.raises(
            DatabaseCorruptError, match=r"row 4 .*restore it from a backup"
        ) as caught:
            client._database.commits.read("c", lambda snapshot: fail(snapshot.db))
        assert isinstance(caught.value.__cause__, KeyError)


def test_a_file_that_always_seems_to_be_restored_is_damaged(closed):
    def restored(_):
        raise RestoredError

    with MilvusClient(closed) as client, pytest.raises(DatabaseCorruptError, match=DAMAGED):
        client._database.commits.read("c", restored)


def test_generated_keys_never_replace_rows(path):
    with MilvusClient(path) as client:
        client.create_collection("c", dimension=2, auto_id=True)
        assert client.insert("c", [{"vector": [1.0, n]} for n in range(5)])["ids"] == [
            1,
            2,
            3,
            4,
            5,
        ]
        assert client.verify() == []
    for wrong in ("2", "5", "-7", "'x'"):
        changed(path, f"UPDATE collections SET next_id = {wrong}")
        with MilvusClient(path) as client:
            assert client.verify()
            with pytest.raises(DatabaseCorruptError, match=DAMAGED):
                client.insert("c", {"vector": [9.0, 9.0]})
            assert len(client.query("c")) == 5
    changed(path, f"UPDATE collections SET next_id = {2**63 - 2}")
    with MilvusClient(path) as client:
        assert client.insert("c", {"vector": [9.0, 9.0]})["ids"] == [2**63 - 2]
        with pytest.raises(DataNotMatchException, match="no 1 keys are left above"):
            client.insert("c", {"vector": [9.0, 9.0]})
        client.upsert("c", {"id": 2**63 - 1, "vector": [9.0, 9.0]})
        assert client.verify() == []


def test_faults_are_bounded(path):
    with MilvusClient(path) as client:
        create(client)
        client.insert("c", [row(number) for number in range(1, 500)])
    changed(path, "UPDATE c1_rows SET data = zeroblob(100000)")
    with MilvusClient(path) as client:
        faults = client.verify()
    assert len(faults) == 101
    assert faults[-1] == "and more"
    assert all(len(fault) < 300 for fault in faults)


# --- the upgrade ---------------------------------------------------------------------------------


def as_format_1(path):
    db = sqlite3.connect(path)
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        for _, column, *_ in db.execute(f"PRAGMA table_info({table})").fetchall():
            if column.endswith("_sum"):
                db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()


def test_a_file_of_format_1_is_upgraded_in_place(closed):
    sound, _ = outcomes(closed)
    as_format_1(closed)
    with pytest.raises(DatabaseFormatError, match=r"has format 1, .*open it once for writing"):
        MilvusClient(closed, read_only=True)
    assert outcomes(closed) == (sound, [])
    db = sqlite3.connect(closed)
    assert db.execute("PRAGMA user_version").fetchone() == (2,)
    assert db.execute("SELECT count(*) FROM c1_rows WHERE data_sum IS NULL").fetchone() == (10,)
    db.close()
    with MilvusClient(closed) as client:
        key = client.describe_collection("c")["fields"][0]["type"]
        client.upsert("c", [row(number, key) for number in range(4, 20)])
        client.delete("c", ids=[row(2, key)["id"], row(6, key)["id"]])
        assert client.verify() == []
    # Rows from before have no checksum, new ones have.
    changed(closed, "UPDATE c1_rows SET data = x'00' WHERE row = 12")
    with MilvusClient(closed, read_only=True) as client:
        assert len(client.verify()) == 1
        with pytest.raises(DatabaseCorruptError, match="row 12 of the file is damaged"):
            client.query("c", output_fields=["n"])

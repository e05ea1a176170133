"""What the writers write: every batch follows from its number, so anyone can say what must be there.

A row follows from its key and its version alone: text, vectors and scalars of one version belong
together, and a mixture of two is seen at once.
"""

import random

from elanus import DataType, Function, FunctionType, MilvusClient

NAME = "rows"
DIM = 8
OUTPUT = ["id", "version", "group", "text", "v", "s", "extra"]
GROUPS = 8


def schema():
    made = MilvusClient.create_schema(enable_dynamic_field=True)
    made.add_field("id", DataType.INT64, is_primary=True)
    made.add_field("version", DataType.INT64)
    made.add_field("group", DataType.INT64)
    made.add_field(
        "text", DataType.VARCHAR, max_length=4000, enable_analyzer=True, enable_match=True,
        analyzer_params={"type": "standard"},
    )  # fmt: skip
    made.add_field("v", DataType.FLOAT_VECTOR, dim=DIM)
    made.add_field("s", DataType.SPARSE_FLOAT_VECTOR)
    made.add_field("bm", DataType.SPARSE_FLOAT_VECTOR)
    made.add_function(Function("bm25", FunctionType.BM25, ["text"], ["bm"]))
    return made


def create(client, name=NAME):
    params = MilvusClient.prepare_index_params()
    params.add_index("v", "FLAT", metric_type="L2")
    params.add_index("s", "SPARSE_INVERTED_INDEX", metric_type="IP")
    params.add_index("bm", "SPARSE_INVERTED_INDEX", metric_type="BM25")
    client.create_collection(name, schema=schema(), index_params=params)


def word(prefix, number):
    """A single term for a number; analyzers may split letters from digits."""
    return prefix + str(number).translate(str.maketrans("0123456789", "abcdefghij"))


def row(key, version):
    """Whole components below 2**24, so that every score is exact."""
    return {
        "id": key,
        "version": version,
        "group": key % GROUPS,
        "text": " ".join(
            ["common", word("key", key), word("version", version), word("group", key % GROUPS)]
        ),
        "v": [float(key), float(version), *(float((key * 7 + version * i) % 5) for i in range(6))],
        "s": {0: 1.0, 10 + key: float(version + 1)},
        "extra": {"twice": 2 * version, "key": str(key)},
    }


def batch(seed, number, present):
    """The operation of a number, on a file that holds the keys ``present``."""
    rng = random.Random(f"{seed}/{number}")
    kind = rng.choice(["insert", "insert", "upsert", "mixed", "delete", "delete_filter"])
    known = sorted(present)
    if kind == "insert" or len(known) < 20:
        return "insert", [number * 100 + i for i in range(rng.randint(1, 60))]
    if kind == "upsert":
        return "upsert", rng.sample(known, rng.randint(1, min(60, len(known))))
    if kind == "mixed":
        fresh = [number * 100 + i for i in range(rng.randint(1, 20))]
        return "upsert", rng.sample(known, 15) + fresh
    if kind == "delete":
        return "delete", rng.sample(known, rng.randint(1, min(30, len(known) // 2)))
    return "delete_filter", rng.sample(known, min(10, len(known) // 2))


def applied(seed, number, versions):
    """The keys and versions after a batch."""
    kind, keys = batch(seed, number, versions)
    after = dict(versions)
    for key in keys:
        if kind.startswith("delete"):
            after.pop(key, None)
        else:
            after[key] = number
    return after


def run(client, seed, number, versions):
    """Do a batch on a client."""
    kind, keys = batch(seed, number, versions)
    if kind == "delete":
        client.delete(NAME, ids=keys)
    elif kind == "delete_filter":
        client.delete(NAME, filter=f"id in {keys}")
    else:
        getattr(client, kind)(NAME, [row(key, number) for key in keys])


def versions_of(client):
    return {r["id"]: r["version"] for r in client.query(NAME, output_fields=["id", "version"])}


def plain(found):
    """A row as the client gives it, in the form of ``row``."""
    got = {**found, "v": [float(x) for x in found["v"]], "extra": dict(found["extra"])}
    got["s"] = {int(i): float(x) for i, x in dict(found["s"]).items()}
    return got


def faults_of_row(found):
    """Nothing, if all fields of a row are of one key and one version."""
    got = plain(found)
    expected = row(got["id"], got["version"])
    return [(f, got[f], expected[f]) for f in OUTPUT if got[f] != expected[f]]


# --- the catalogue -----------------------------------------------------------------------------


def catalogue_steps(seed, number):
    """The catalogue operation of a number, and the names it is about."""
    rng = random.Random(f"catalogue/{seed}/{number}")
    kinds = [
        "create",
        "create",
        "fill",
        "fill",
        "truncate",
        "rename",
        "drop",
        "index",
        "compact",
        "reopen",
    ]
    return rng.choice(kinds), f"c{rng.randrange(5)}", f"c{rng.randrange(5)}"


def catalogue_applied(seed, number, state):
    """Name → (rows, whether the index on ``v`` is there), after a step."""
    kind, name, other = catalogue_steps(seed, number)
    after = dict(state)
    if kind == "create":
        after.setdefault(name, (0, True))
    elif name not in after:
        return after
    elif kind == "fill":
        after[name] = (after[name][0] + 20, after[name][1])
    elif kind == "truncate":
        after[name] = (0, after[name][1])
    elif kind == "rename" and other not in after:
        after[other] = after.pop(name)
    elif kind == "drop":
        del after[name]
    elif kind == "index":
        after[name] = (after[name][0], not after[name][1])
    return after


def catalogue_run(client, seed, number, state):
    """Do a step; whether the client is to be opened again."""
    kind, name, other = catalogue_steps(seed, number)
    if kind == "create":
        if name not in state:
            create(client, name)
    elif kind == "compact":
        client.compact()
    elif name not in state:
        pass
    elif kind == "fill":
        client.insert(name, [row(number * 100 + i, number) for i in range(20)])
    elif kind == "truncate":
        client.truncate_collection(name)
    elif kind == "rename" and other not in state:
        client.rename_collection(name, other)
    elif kind == "drop":
        client.drop_collection(name)
    elif kind == "index" and state[name][1]:
        client.drop_index(name, "v")
    elif kind == "index":
        params = client.prepare_index_params()
        params.add_index("v", "FLAT", metric_type="L2")
        client.create_index(name, params)
    return kind == "reopen"


def catalogue_of(client):
    return {
        name: (client.get_collection_stats(name)["row_count"], "v" in client.list_indexes(name))
        for name in client.list_collections()
    }


def chunks(version):
    """The texts of a source: half of them are those of the version before."""
    return [word("chunk", number) for number in range(200 * version, 200 * version + 400)]

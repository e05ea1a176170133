"""A process of its own: ``python _child.py ROLE PATH ARGUMENTS…``; says what it did line by line."""

import sqlite3
import sys
import threading
import time

import _model as model

from elanus import AnnSearchRequest, DocumentStore, MilvusClient


def say(*words):
    print(*words, flush=True)


def write_batches(path, seed, number, journal):
    """Batch after batch for ever, acknowledging each."""
    say("ready")
    client = MilvusClient(path, journal=journal)
    versions = model.versions_of(client)
    for n in range(int(number), 1_000_000):
        model.run(client, seed, n, versions)
        say(n)
        versions = model.applied(seed, n, versions)


def change_catalogue(path, seed, number):
    """Catalogue operations for ever, acknowledging each."""
    say("ready")
    client = MilvusClient(path)
    state = model.catalogue_of(client)
    for n in range(int(number), 1_000_000):
        if model.catalogue_run(client, seed, n, state):
            client.close()
            client = MilvusClient(path)
        say(n)
        state = model.catalogue_applied(seed, n, state)


class SlowLetters:
    """An embedding that takes its time, as models do, and says when it begins."""

    dim, name = 4, "letters"

    def encode_documents(self, texts):
        say("embedding")
        time.sleep(0.02)
        return [[float(t.count(c)) + 1 for c in "aeio"] for t in texts]

    encode_queries = encode_documents


def sync_source(path, first):
    """Version after version of one source for ever, acknowledging each."""
    say("ready")
    with DocumentStore(path, SlowLetters()) as store:
        for version in range(int(first), 1_000_000):
            store.sync("a", model.chunks(version))
            say(version)


def told_to_stop():
    """Set when a line comes in, or nobody is there any more to write one."""
    told = threading.Event()

    def listen():
        sys.stdin.readline()
        told.set()

    threading.Thread(target=listen, daemon=True).start()
    return told


def rewrite_groups(path):
    """Give all rows of one group a new version, over and over, until told to stop."""
    with MilvusClient(path) as client:
        keys = sorted(model.versions_of(client))
        say("ready")
        version, told = 1, told_to_stop()
        while not told.is_set():
            group = [k for k in keys if k % model.GROUPS == version % model.GROUPS]
            client.upsert(model.NAME, [model.row(k, version) for k in group])
            version += 1
            time.sleep(0.02)
    say("written", version - 1)


def search(path, least_searches, least_changes):
    """Dense, text, sparse and hybrid searches; every hit must be whole, and of one commit.

    Says so when it has searched enough and seen enough changes, and goes on until told to stop. The
    last round of searches begins after that.
    """
    newest, searches, changes, enough = 0, 0, 0, False
    with MilvusClient(path) as client:
        total = len(model.versions_of(client))
        say("ready")
        told, last = told_to_stop(), False
        while not last:
            last = told.is_set()
            for faults, top in look(client, searches, total, newest):
                if faults:
                    say("fault", faults)
                    sys.exit(1)
                changes += top > newest
                newest = max(newest, top)
                searches += 1
            if not enough and searches >= int(least_searches) and changes >= int(least_changes):
                enough = True
                say("enough")
    say("seen", newest)


def look(client, turn, total, newest):
    key = turn % total
    group = key % model.GROUPS
    mine = client.query(model.NAME, f"id == {key}", output_fields=model.OUTPUT)
    yield faults_of(mine, 1), mine[0]["version"]
    fields = {"output_fields": model.OUTPUT}
    [hits] = client.search(model.NAME, [mine[0]["v"]], anns_field="v", limit=total + 10, **fields)
    faults = faults_of([h["entity"] for h in hits], total)
    faults += [h for h in hits if h["distance"] != squared(mine[0]["v"], h["entity"]["v"])]
    top = max(h["entity"]["version"] for h in hits)
    if top < newest:
        faults.append(f"version {newest} was seen before, now {top}")
    yield faults, top
    [hits] = client.search(
        model.NAME, [model.word("group", group)], anns_field="bm", limit=total, **fields
    )
    yield faults_of([h["entity"] for h in hits], total // model.GROUPS, group), newest
    [hits] = client.search(model.NAME, [{10 + key: 1.0}], anns_field="s", limit=total, **fields)
    faults = faults_of([h["entity"] for h in hits], 1)
    faults += [h for h in hits if h["distance"] != h["entity"]["version"] + 1]
    yield faults, newest
    requests = [
        AnnSearchRequest([mine[0]["v"]], "v", {}, total),
        AnnSearchRequest([model.word("group", group)], "bm", {}, total),
        AnnSearchRequest([{0: 1.0}], "s", {}, total),
    ]
    [hits] = client.hybrid_search(
        model.NAME, requests, limit=total, filter=f"group == {group}", explain=True, **fields
    )
    faults = faults_of([h["entity"] for h in hits], total // model.GROUPS, group)
    for h in hits:
        scores = {leg["leg"]: leg["score"] for leg in h["explanation"]}
        if len(scores) != 3 or scores["v"] != squared(mine[0]["v"], h["entity"]["v"]):
            faults.append((dict(h), scores))
    yield faults, newest


def squared(a, b):
    return sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True))


def faults_of(rows, expected, group=None):
    faults = [] if len(rows) == expected else [f"{len(rows)} rows instead of {expected}"]
    for found in rows:
        faults += model.faults_of_row(found)
    if group is not None and len({r["version"] for r in rows}) > 1:
        faults.append(f"a group of several versions: {[(r['id'], r['version']) for r in rows]}")
    if group is not None and any(r["group"] != group for r in rows):
        faults.append(f"not all of group {group}")
    return faults


def insert_own(path, first, least):
    """Insert rows under keys of one's own, as fast as can be, until told to stop.

    Says so when there are enough. Waits for the other writer, and not for long at a time.
    """
    with MilvusClient(path, timeout=60) as client:
        say("ready")
        number, told = int(first), told_to_stop()
        while not told.is_set():
            client.insert(model.NAME, [model.row(number + i, number) for i in range(3)])
            number += 3
            if number - int(first) == int(least):
                say("enough")
    say("written", number)


def create_and_insert(key):
    """For each path of the input: open (perhaps as the first), create and insert."""
    say("ready")
    for line in sys.stdin:
        with MilvusClient(line.strip(), timeout=60) as client:
            model.create(client)
            client.insert(model.NAME, [model.row(int(key), 1)])
        say("written")


def probe(path):
    """For each line of input: can this process become the writer now?"""
    say("ready")
    for _ in sys.stdin:
        db = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            db.execute("BEGIN IMMEDIATE")
            db.execute("ROLLBACK")
            say("admitted")
        except sqlite3.OperationalError as error:
            say(error)
        finally:
            db.close()


def hold_lock(path, operation):
    """Become the writer, and stay so until told otherwise."""
    client = MilvusClient(path)
    with client._database.file.write(operation):
        say("ready")
        sys.stdin.readline()
    client.close()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])

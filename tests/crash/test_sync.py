"""A sync that is killed: the source is what it was or what it should be, and the next one ends it."""

import random
import signal

import pytest

from elanus import DocumentStore

ROUNDS = 8


class Counting:
    """The embedding of the killed process; keeps the texts that it is given."""

    dim, name = 4, "letters"

    def __init__(self):
        self.given = []

    def encode_documents(self, texts):
        self.given += texts
        return [[float(t.count(c)) + 1 for c in "aeio"] for t in texts]

    encode_queries = encode_documents


def killed(child, wait):
    """The versions that were acknowledged, of a process that was killed by a signal."""
    lines = wait(child)
    child.send_signal(signal.SIGKILL)
    lines += child.stdout.readlines()
    assert child.wait(timeout=60) == -signal.SIGKILL, (lines, child.stderr.read())
    return [int(line) for line in lines if line != "embedding\n"]


def in_the_middle(child):
    """Two versions are there, and of the third a part has been embedded."""
    lines = [child.stdout.readline()]
    while lines.count("1\n") == 0:
        lines.append(child.stdout.readline())
    lines += [child.stdout.readline() for _ in range(2)]
    assert lines[-2:] == ["embedding\n"] * 2
    return lines


def texts_of(store):
    found = store.get(filter={"source": "a"})
    return [d.text for d in sorted(found, key=lambda d: d.metadata["position"])]


def test_a_sync_that_is_killed_while_it_embeds_has_changed_nothing(path, start, model):
    assert killed(start("sync_source", path, 0), in_the_middle) == [0, 1]
    embedding = Counting()
    with DocumentStore(path, embedding) as store:
        assert texts_of(store) == model.chunks(1)
        assert store.verify() == []
        report = store.sync("a", model.chunks(2))
        assert embedding.given == model.chunks(2)[200:]
        assert (report.written, report.deleted, report.embedded) == (400, 200, 200)
        assert texts_of(store) == model.chunks(2)
        assert len(store) == 400
        assert store.verify() == []


@pytest.mark.parametrize("seed", range(2))
def test_a_sync_that_is_killed_at_any_moment_is_finished_by_the_next(path, start, model, seed):
    rng, version, seen = random.Random(seed), 0, 0
    for _ in range(ROUNDS // 2):
        least = rng.randint(0, 12)
        child = start("sync_source", path, version)
        done = killed(child, lambda c, n=least: [c.stdout.readline() for _ in range(n)])
        assert done == list(range(version, version + len(done)))
        seen += len(done)
        version += len(done)
        embedding = Counting()
        with DocumentStore(path, embedding) as store:
            found = texts_of(store)
            before = model.chunks(version - 1) if version else []
            assert found in (before, model.chunks(version))
            store.sync("a", model.chunks(version))
            assert texts_of(store) == model.chunks(version)
            assert embedding.given == [t for t in model.chunks(version) if t not in set(found)]
            [top] = store.search(model.chunks(version)[-1], k=1, mode="text")
            assert top.text == model.chunks(version)[-1]
            assert store.verify() == []
        version += 1
    assert seen > 0

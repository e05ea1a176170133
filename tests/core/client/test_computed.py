"""What a schema derives from its fields is computed once, and no lock is held meanwhile."""

import pickle
import threading

import pytest

from elanus import CollectionSchema, DataType
from elanus.schema import Schema

PROPERTIES = [
    "by_name", "primary", "scalars", "dense", "sparse", "analysed", "bm25_inputs", "vectors"
]  # fmt: skip


class Counted(list):
    """Fields that count how often they are gone through."""

    reads = 0

    def __iter__(self):
        type(self).reads += 1
        return super().__iter__()


class Blocking(list):
    """Fields that are never gone through to the end, unless they are let go."""

    reached, let_go = threading.Event(), threading.Event()

    def __iter__(self):
        self.reached.set()
        self.let_go.wait()
        return super().__iter__()


@pytest.fixture
def schema():
    made = CollectionSchema()
    made.add_field("id", DataType.INT64, is_primary=True)
    made.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    return made.freeze()


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_property_is_computed_once(schema, name):
    counted = Schema(Counted(schema.fields))
    first = getattr(counted, name)
    reads = Counted.reads
    assert getattr(counted, name) is first
    assert Counted.reads == reads
    assert first == getattr(schema, name)


def test_the_class_shows_the_property_and_its_text():
    for name in PROPERTIES:
        assert getattr(Schema, name).__doc__.endswith(".")


def test_what_was_computed_changes_no_comparison_and_survives_pickling(schema):
    other = Schema(schema.fields)
    assert schema.primary.name == "id"
    assert other == schema
    copied = pickle.loads(pickle.dumps(schema))  # noqa: S301  # its own bytes
    assert copied == schema
    assert copied.primary == schema.primary


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_thread_that_computes_for_ever_holds_up_no_other(schema, name):
    # Held by a thread at a fork, a lock would stay locked in the child.
    Blocking.reached.clear()
    Blocking.let_go.clear()
    expected = getattr(schema, name)
    stuck = Schema(Blocking(schema.fields), Blocking())
    holder = threading.Thread(target=getattr, args=(stuck, name), daemon=True)
    holder.start()
    try:
        assert Blocking.reached.wait(20)
        found = []
        other = threading.Thread(
            target=lambda: found.append(getattr(Schema(schema.fields), name)), daemon=True
        )
        other.start()
        other.join(20)
        assert found == [expected]
    finally:
        Blocking.let_go.set()
        holder.join(20)


def test_threads_that_compute_at_once_get_one_value(schema):
    barrier = threading.Barrier(2)

    class Together(list):
        def __iter__(self):
            barrier.wait(20)
            return super().__iter__()

    shared = Schema(Together(schema.fields))
    found = []
    threads = [threading.Thread(target=lambda: found.append(shared.by_name)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 2
    assert found[0] is found[1]

"""Arrays that grow in memory which they share."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from elanus.schema import Growing


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=25))
def test_no_branch_of_a_line_of_values_sees_another(steps):
    values, expected = [Growing.of(np.arange(3))], [[0, 1, 2]]
    for step, (chosen, size) in enumerate(steps):
        parent = chosen % len(values)
        more = np.arange(size) + 100 * (step + 1)
        values.append(values[parent].append(more))
        expected.append(expected[parent] + more.tolist())
    assert [value.array.tolist() for value in values] == expected


def test_the_newest_value_appends_in_place_and_an_older_one_copies():
    first = Growing.of(np.zeros(100)).append(np.ones(1))
    second, other = first.append(np.ones(1)), first.append(np.zeros(1))
    assert np.shares_memory(first.array, second.array)
    assert not np.shares_memory(first.array, other.array)
    assert first.nbytes == second.nbytes == 150 * 8


def test_what_was_adopted_is_never_written_to_also_where_it_is_empty():
    base = np.arange(4, dtype=object)
    base.flags.writeable = False
    value = Growing.of(base)
    assert value.append(base[:0]) is value
    assert np.shares_memory(value.array, base)
    assert value.append(np.array(["x"], dtype=object)).array.tolist() == [0, 1, 2, 3, "x"]
    rows = Growing.of(np.empty((0, 2), dtype=np.float32)).append(np.ones((3, 2)))
    assert rows.array.shape == (3, 2)
    assert rows.array.dtype == np.float32

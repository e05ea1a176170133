"""Bad values: refused with row, field, value and rule, and nothing is written."""

import enum
import math

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from elanus.errors import DataNotMatchException, FilterError, ParamError


def test_input_refused_on_a_file_leaves_the_file_as_it_was(client, check_refused, good, fill_table):
    fill_table(client)
    for call, error, message in (
        (lambda c: c.insert("c", {**good, "small": 128}), DataNotMatchException, "INT8"),
        (lambda c: c.create_collection("a b", dimension=2), ParamError, "'a b'"),
        (lambda c: c.delete("c", filter="id >"), FilterError, "position 4"),
        (lambda c: c.delete("c", ids=[0, "x"]), DataNotMatchException, "got 'x'"),
    ):
        check_refused(client, error, message, call)


class Colour(str, enum.Enum):
    RED = "red"


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


def endless():
    value = []
    value.append(value)
    return value


# Field, value, what the message says of the rule.
BAD_VALUES = [
    ("id", None, "not nullable"),
    ("id", "1", "INT64 must be an integer"),
    ("id", 1.0, "INT64 must be an integer"),
    ("id", True, "INT64 must be an integer"),
    ("id", np.timedelta64(3, "s"), "INT64 must be an integer"),
    ("id", np.timedelta64(3, "ns"), "INT64 must be an integer"),
    ("id", 2**63, "out of range for INT64"),
    ("id", np.uint64(2**63), "out of range for INT64"),
    ("id", 10**5000, "out of range for INT64.*too large to show"),
    ("dense", [1.0, 2.0, 3.0], "dimension 3, the field has dim=2"),
    ("dense", [], "flat list of numbers|dimension 0"),
    ("dense", np.ones(3), "dimension 3"),
    ("dense", np.ones((1, 2)), "flat list"),
    ("dense", [[1.0], [2.0]], "flat list"),
    ("dense", [1.0, [2.0]], "flat list"),
    ("dense", "ab", "list or numpy array"),
    ("dense", {0: 1.0, 1: 2.0}, "list or numpy array"),
    ("dense", 5, "list or numpy array"),
    ("dense", [True, False], "flat list of numbers"),
    ("dense", ["1", "2"], "flat list of numbers"),
    ("dense", [1.0, None], "flat list of numbers"),
    ("dense", [1j, 2], "flat list of numbers"),
    ("dense", [1.0, math.nan], "finite"),
    ("dense", [math.inf, 1.0], "finite"),
    ("dense", [1e39, 1.0], "finite in single precision"),
    ("dense", None, "not nullable"),
    ("weights", None, "not nullable"),
    ("weights", {-1: 1.0}, "index must be from 0"),
    ("weights", {2**32 - 1: 1.0}, "index must be from 0 to 4294967294"),
    ("weights", {2**70: 1.0}, "integer indices"),
    ("weights", {"1": 1.0}, "integer indices"),
    ("weights", {1.5: 1.0}, "integer indices"),
    ("weights", {(1, 2): 0.5}, "integer indices"),
    ("weights", {1: math.nan}, "finite"),
    ("weights", {1: 1e39}, "finite"),
    ("weights", {1: "x"}, "numbers"),
    ("weights", {1: None}, "numbers"),
    ("weights", [(1, 0.5), (1, 0.5)], "occurs twice"),
    ("weights", [1.0, 2.0], "list of pairs"),
    ("weights", [([1, 2], 0.5)], "integer indices"),
    ("weights", "text", "list of pairs"),
    ("weights", 3, "list of pairs"),
    ("weights", csr_matrix(np.ones((2, 3))), "one row"),
    ("weights", csr_matrix(np.array([[math.nan, 1.0]])), "finite"),
    ("text", 5, "VARCHAR must be a string"),
    ("text", b"bytes", "VARCHAR must be a string"),
    ("text", None, "not nullable"),
    ("text", "a\ud800b", "lone surrogates"),
    ("text", "x" * 65_536, "65536 bytes, more than max_length=65535"),
    ("small", 128, "out of range for INT8"),
    ("small", -129, "out of range for INT8"),
    ("small", np.int64(200), "out of range for INT8"),
    ("small", True, "INT8 must be an integer"),
    ("small", np.True_, "INT8 must be an integer"),
    ("small", 5.0, "INT8 must be an integer"),
    ("small", "5", "INT8 must be an integer"),
    ("small", None, "not nullable"),
    ("flag", 1, "BOOL must be True or False"),
    ("flag", "true", "BOOL must be True or False"),
    ("single", 3.5e38, "out of range for FLOAT"),
    ("single", math.nan, "finite"),
    ("single", "1.0", "must be a number"),
    ("single", True, "must be a number"),
    ("real", math.inf, "finite"),
    ("real", -math.inf, "finite"),
    ("real", 10**400, "finite"),
    ("real", 1j, "must be a number"),
    ("short", "abcde", "5 bytes, more than max_length=4"),
    ("short", "日本", "6 bytes, more than max_length=4"),
    ("short", ["a"], "VARCHAR must be a string"),
    ("doc", math.nan, "finite"),
    ("doc", {"a": {"b": math.inf}}, "'a'.*'b'.*finite"),
    ("doc", {1: 2}, "JSON key must be a string, not 1"),
    ("doc", {"a": 2**63}, "must fit in 64 bits"),
    ("doc", {"a": {1, 2}}, "set is no JSON value"),
    ("doc", {"a": object()}, "object is no JSON value"),
    ("doc", {"a": b"x"}, "bytes is no JSON value"),
    ("doc", {"a": Colour.RED}, "Colour is no plain JSON value"),
    ("doc", {"a\ud800": 1}, "lone surrogates"),
    ("doc", ["\udfff"], "lone surrogates"),
    ("doc", nested(150), "nested more than 100 deep"),
    ("doc", nested(10_000), "nested more than 100 deep"),
    ("doc", endless(), "nested more than 100 deep"),
    ("numbers", [1, 2, 3, 4], "4 elements, more than max_capacity=3"),
    ("numbers", [1, 2**15], "out of range for INT16"),
    ("numbers", [1, None], "INT16 must be an integer"),
    ("numbers", [1, "2"], "INT16 must be an integer"),
    ("numbers", [[1]], "INT16 must be an integer"),
    ("numbers", "12", "ARRAY must be a list"),
    ("numbers", 5, "ARRAY must be a list"),
    ("numbers", None, "not nullable"),
    ("words", ["abcd"], "4 bytes, more than max_length=3"),
    ("words", [1], "VARCHAR must be a string"),
    ("terms", {1: 1.0}, "filled by a function; leave it out"),
]


def value_id(case):
    field, value, _ = case
    return f"{field}={type(value).__name__}"


@pytest.mark.parametrize("case", BAD_VALUES, ids=value_id)
def test_a_bad_value_names_row_field_value_and_rule(table, case, check_refused, good):
    field, value, rule = case
    rows = [{**good, "id": 500}, {**good, "id": 501}, {**good, "id": 502, field: value}]
    check_refused(
        table,
        DataNotMatchException,
        rf"(?s)row 2.*'{field}'.*({rule})",
        lambda client: client.insert("c", rows),
    )


@pytest.mark.parametrize("case", BAD_VALUES[:3] + BAD_VALUES[5:9], ids=value_id)
def test_upsert_refuses_what_insert_refuses(table, case, check_refused, good):
    field, value, rule = case
    check_refused(
        table, DataNotMatchException, rule, lambda c: c.upsert("c", {**good, field: value})
    )


def test_a_long_value_is_shortened_in_the_message(table, good):
    with pytest.raises(DataNotMatchException) as caught:
        table.insert("c", {**good, "short": "x" * 1_000_000})
    assert len(str(caught.value)) < 300

"""Random filters over random rows through the client, against a plain evaluation row by row."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elanus import MilvusClient

OPERATORS = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
strings = st.text(st.sampled_from("ab%_'\"\\é"), max_size=3)
whole = st.integers(-3, 3) | st.sampled_from([2**53 + 1, -(2**63), 2**63 - 1])
anything = st.none() | st.booleans() | whole | st.sampled_from([0.5, -1.5, 2.0]) | strings
row_values = st.fixed_dictionaries(
    {"n": st.none() | whole, "tag": st.none() | strings},
    optional={"extra": anything, "more": st.fixed_dictionaries({}, optional={"deep": anything})},
)
tables = st.dictionaries(st.integers(0, 30), row_values, max_size=20)

# A filter is its text, with § for each constant, the constants in order, and a function from a
# row to True, False or None (unknown).
FIELDS = {
    "n": lambda r: r["n"],
    "tag": lambda r: r["tag"],
    "id": lambda r: r["id"],
    "extra": lambda r: r.get("extra"),
    '$meta["extra"]': lambda r: r.get("extra"),
    'more["deep"]': lambda r: r.get("more", {}).get("deep"),
}


def family(value):
    if isinstance(value, bool):
        return bool
    return float if isinstance(value, (int, float)) else type(value)


def compared(operator, left, right):
    if left is None:
        return None
    if family(left) is not family(right):
        return {"==": False, "!=": True}.get(operator)
    if family(left) is bool and operator not in ("==", "!="):
        return None
    return OPERATORS[operator](left, right)


def among(value, options):
    return None if value is None else any(compared("==", value, o) for o in options)


def negated(truth):
    return None if truth is None else not truth


def both(one, two):
    return None if None in (one, two) and False not in (one, two) else bool(one and two)


def either(one, two):
    return negated(both(negated(one), negated(two)))


def constants_for(field):
    return {"n": whole, "id": whole, "tag": strings}.get(field, whole | strings | st.booleans())


@st.composite
def leaves(draw):
    """Every constant is bound as a parameter; how constants are written is tested elsewhere."""
    field = draw(st.sampled_from(list(FIELDS)))
    read, constants = FIELDS[field], constants_for(field)
    kind = draw(st.sampled_from(["compare", "compare", "in", "null"]))
    if kind == "null":
        return f"{field} is null", [], lambda r: read(r) is None
    if kind == "in":
        options = draw(st.lists(constants, max_size=4))
        return f"{field} in §", [options], lambda r: among(read(r), options)
    constant = draw(constants)
    operators = ["==", "!="] if isinstance(constant, bool) else list(OPERATORS)
    operator = draw(st.sampled_from(operators))
    return f"{field} {operator} §", [constant], lambda r: compared(operator, read(r), constant)


def joined(word, one, two):
    combine = {"and": both, "or": either}[word]
    return (
        f"({one[0]}) {word} ({two[0]})",
        one[1] + two[1],
        lambda r: combine(one[2](r), two[2](r)),
    )


def turned(inner):
    return f"not ({inner[0]})", inner[1], lambda r: negated(inner[2](r))


filters = st.recursive(
    leaves(),
    lambda inner: (
        inner.map(turned) | st.builds(joined, st.sampled_from(["and", "or"]), inner, inner)
    ),
    max_leaves=5,
)


@settings(max_examples=3 * settings().max_examples, suppress_health_check=list(HealthCheck))
@given(table=tables, later=tables, gone=st.sets(st.integers(0, 30), max_size=8), asked=filters)
def test_query_search_count_and_delete_agree_with_a_plain_evaluation(
    world, table, later, gone, asked
):
    text, constants, truth = asked
    names = [f"p{i}" for i in range(len(constants))]
    for name in names:
        text = text.replace("§", f"{{{name}}}", 1)
    bound = {"filter": text, "filter_params": dict(zip(names, constants, strict=True))}
    with MilvusClient(":memory:") as client:
        world.create(client)
        rows = {}
        for part in (table, later):
            client.upsert(world.NAME, [world.row(k, **r) for k, r in part.items()])
            rows |= {k: {"id": k, **r} for k, r in part.items()}
            # The columns are made now, and follow what comes.
            client.query(world.NAME, **bound)
        client.delete(world.NAME, ids=sorted(gone))
        rows = {k: r for k, r in rows.items() if k not in gone}
        expected = [k for k in sorted(rows) if truth(rows[k]) is True]

        found = client.query(world.NAME, output_fields=["id"], **bound)
        assert [r["id"] for r in found] == expected
        assert [k for k, _ in world.found(client, "v", [1, 0, 0, 0], **bound)] == expected
        counted = client.query(world.NAME, output_fields=["count(*)"], **bound)
        assert counted == [{"count(*)": len(expected)}]
        assert client.delete(world.NAME, **bound)["delete_count"] == len(expected)
        left = client.query(world.NAME, output_fields=["id"])
        assert [r["id"] for r in left] == [k for k in sorted(rows) if k not in expected]
        assert client.verify() == []

"""Names and types: does a filter fit the schema?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeAlias, cast

from elanus.errors import FilterError, likely, shown
from elanus.query.columns._kinds import FieldKind, FieldType
from elanus.query.filter import _tree as tree
from elanus.query.filter._members import Members
from elanus.query.filter.patterns._regex import compile_regex

Kinds: TypeAlias = Mapping[str, FieldKind]
"""The kind of every schema field; ``"$meta"`` is a JSON field in a collection with a dynamic field,
and missing in others."""

ColumnPath: TypeAlias = tuple[tree.Step, ...]
"""A schema field, or ``"$meta"`` and a dynamic key; the steps into JSON follow."""

DYNAMIC: Final = "$meta"

_STEPS_SHOWN: Final = 3
_NUMBERS: Final = (FieldType.INT, FieldType.FLOAT32, FieldType.DOUBLE)
_NUMBER: Final = FieldKind(FieldType.DOUBLE)
_LITERALS: Final[dict[type, FieldKind]] = {
    bool: FieldKind(FieldType.BOOL),
    int: FieldKind(FieldType.INT),
    float: _NUMBER,
    str: FieldKind(FieldType.STRING),
}


@dataclass(frozen=True, slots=True)
class Reference:
    """What a path of the text means.

    Attributes:
        column: the column to read.
        kind: of the values there (of an element, if there is a subscript).
        subscript: position in an ARRAY field's arrays.
    """

    column: ColumnPath
    kind: FieldKind
    subscript: int | None = None

    @property
    def is_within(self) -> bool:
        """Whether the values stand in JSON or in arrays, so that any of them may be missing."""
        return self.kind.type is FieldType.JSON or self.subscript is not None


def check(expression: tree.Expression, kinds: Kinds) -> dict[tree.Path, Reference]:
    """Check that every name exists and every operator fits its operands.

    Args:
        expression: a filter without templates.
        kinds: the schema.

    Returns:
        What every path means. The field of a ``text_match`` or ``phrase_match`` is no such path:
        its index answers.

    Raises:
        FilterError: it does not fit; ``position`` says where.
    """
    checker = _Checker(expression.text, kinds)
    checker.condition(expression.root)
    return checker.references


@dataclass(slots=True, eq=False)
class _Checker:
    """Resolves names and types within one filter."""

    text: str
    kinds: Kinds
    references: dict[tree.Path, Reference] = field(default_factory=dict)

    def fail(self, reason: str, node: tree.Node) -> NoReturn:
        """Raise a FilterError that points at a node."""
        raise FilterError(reason, self.text, node.position)

    def _reference_of(self, path: tree.Path) -> Reference:
        """What a path means."""
        found = self.references.get(path)
        if found is None:
            kind = self.kinds.get(path.name)
            found = self._dynamic(path) if kind is None else self._field(path, kind)
            self.references[path] = found
        return found

    def _field(self, path: tree.Path, kind: FieldKind) -> Reference:
        if kind.type is FieldType.VECTOR:
            self.fail(f"field {path.name!r:.80} is a vector; filters read scalar fields", path)
        if kind.type is FieldType.JSON:
            if path.name == DYNAMIC and not path.steps:
                self.fail('name a key of the dynamic field: $meta["key"]', path)
            return Reference((path.name, *path.steps), kind)
        if not path.steps:
            return Reference((path.name,), kind)
        (step, *more) = path.steps
        if kind.element is None or more or not isinstance(step, int):
            self.fail(f"field {path.name!r:.80} ({kind}) has no {_written(path.steps)}", path)
        return Reference((path.name,), FieldKind(kind.element), step)

    def _dynamic(self, path: tree.Path) -> Reference:
        dynamic = self.kinds.get(DYNAMIC)
        if dynamic is None:
            self.fail(
                f"no field {path.name!r:.80} in this collection, which has no dynamic field"
                f"{likely(path.name, self.kinds)}",
                path,
            )
        return Reference((DYNAMIC, path.name, *path.steps), dynamic)

    def condition(self, node: tree.Node) -> None:
        """Check a node that must be true or false."""
        match node:
            case tree.And(operands=operands) | tree.Or(operands=operands):
                for operand in operands:
                    self.condition(operand)
            case tree.Not(operand=operand) | tree.IsTrue(operand=operand):
                self.condition(operand)
            case tree.Compare(operator=operator, left=left, right=right):
                self._comparison(operator, left, right, node)
            case tree.Range(operators=(first, second), low=low, middle=middle, high=high):
                self._comparison(first, low, middle, node)
                self._comparison(second, middle, high, node)
            case tree.In(operand=operand, values=values):
                self._membership(operand, values)
            case tree.StringTest():
                self._string_test(node)
            case tree.IsNull(operand=operand):
                self._reference(operand, "`is null`")
            case tree.Exists(operand=operand):
                self._exists(operand)
            case tree.Contains():
                self._contains(node)
            case tree.TextSearch():
                self._text_search(node)
            case _:
                self._bare(node)

    def kind(self, node: tree.Node) -> FieldKind:
        """Return the kind of a node that must be a value; a condition is none."""
        match node:
            case tree.Path():
                return self._reference_of(node).kind
            case tree.Literal(value=value):
                return _LITERALS.get(type(value), _NUMBER)
            case tree.ListLiteral():
                return FieldKind(FieldType.ARRAY)
            case tree.Arithmetic(left=left, right=right):
                self._number(left, node.operator)
                self._number(right, node.operator)
                return _NUMBER
            case tree.ArrayLength(operand=operand):
                self._array(operand, "array_length")
                return FieldKind(FieldType.INT)
            case tree.Template(name=name):
                return self.fail(f"template {{{name:.80}}} has no value; pass filter_params", node)
            case _:
                return self.fail("a condition stands where a value is needed", node)

    def _bare(self, node: tree.Node) -> None:
        kind = self.kind(node)
        if kind.type not in (FieldType.BOOL, FieldType.JSON):
            self.fail(f"{self._name(node)} is no condition; compare it with something", node)

    def _comparison(
        self, operator: str, left: tree.Node, right: tree.Node, node: tree.Node
    ) -> None:
        kinds = self.kind(left), self.kind(right)
        ordered = operator not in ("==", "!=")
        for kind, side in zip(kinds, (left, right), strict=True):
            if ordered and kind.type in (FieldType.BOOL, FieldType.ARRAY):
                self.fail(f"{self._name(side)} has no order; use == or !=", node)
        if not _comparable(*kinds):
            self.fail(f"{self._name(left)} cannot be compared with {self._name(right)}", node)
        if FieldType.ARRAY in (kinds[0].type, kinds[1].type):
            self._array_comparison(left, right, node)

    def _array_comparison(self, left: tree.Node, right: tree.Node, node: tree.Node) -> None:
        values, operand = (left, right) if isinstance(left, tree.ListLiteral) else (right, left)
        if not isinstance(values, tree.ListLiteral) or isinstance(operand, tree.ListLiteral):
            self.fail("arrays are compared with a list of values, as field == [1, 2]", node)
        kind = self.kind(operand)
        if kind.element is not None:
            self._admit(values.members, FieldKind(kind.element), operand, values)

    def _membership(self, operand: tree.Node, values: tree.Node) -> None:
        kind = self.kind(operand)
        self._admit(self._list(values, "in"), kind, operand, values)

    def _admit(
        self, members: Members, kind: FieldKind, operand: tree.Node, values: tree.Node
    ) -> None:
        """Check that every member of a list can be equal to a value of the kind."""
        if kind.type is FieldType.JSON:
            return
        for type_, sample in members.samples():
            if not _comparable(kind, FieldKind(type_)):
                what = f"{self._name(operand)} cannot be compared with {_literal(sample)}"
                self.fail(f"{what}, which the list holds", values)

    def _list(self, values: tree.Node, where: str) -> Members:
        if isinstance(values, tree.ListLiteral):
            return values.members
        self.kind(values)  # a template without a value has an error of its own
        return self.fail(f"`{where}` needs a list, as [1, 2]; got {self._name(values)}", values)

    def _string_test(self, node: tree.StringTest) -> None:
        operand, pattern = node.operand, node.pattern
        if self.kind(operand).type not in (FieldType.STRING, FieldType.JSON):
            self.fail(f"{node.written} reads strings, and {self._name(operand)} is none", operand)
        self._text(pattern, f"the pattern of {node.written}")
        if isinstance(node, tree.Regex):
            try:
                compile_regex(value_of(pattern))
            except ValueError as error:
                self.fail(f"invalid regular expression: {error}", pattern)

    def _exists(self, operand: tree.Node) -> None:
        kind = self._reference(operand, "`exists`")
        if kind.type is not FieldType.JSON:
            reason = f"{self._name(operand)} always exists; ask `is not null`"
            self.fail(reason, operand)

    def _contains(self, node: tree.Contains) -> None:
        kind = self._array(node.operand, node.function)
        if node.quantifier != "one":
            members = self._list(node.values, node.function)
        else:
            self.kind(node.values)
            if not isinstance(node.values, (tree.Literal, tree.ListLiteral)):
                self.fail(f"{node.function} looks for a value, not for a field", node.values)
            members = members_of(node.values)
        if kind.element is not None:
            self._admit(members, FieldKind(kind.element), node.operand, node.values)

    def _text_search(self, node: tree.TextSearch) -> None:
        function, field, number = node.written, node.operand, node.number
        if not isinstance(field, tree.Path) or field.steps:
            self.fail(f"{function} searches a field; its first argument is the name of one", field)
        kind = self.kinds.get(field.name)
        if kind is None or not kind.analysed:
            name = f"{field.name!r:.80}"
            reason = f"{function} searches analysed fields only (enable_match), not {name}"
            self.fail(reason, field)
        self._text(node.text, f"the text of {function}")
        self.kind(number)
        value: Any = number.value if isinstance(number, tree.Literal) else None
        if type(value) is not int or value < node.least:
            self.fail(f"{node.number_written} is a whole number from {node.least}", number)

    def _text(self, node: tree.Node, what: str) -> None:
        kind = self.kind(node)
        if not isinstance(node, tree.Literal) or kind.type is not FieldType.STRING:
            self.fail(f"{what} is a string, not {self._name(node)}", node)

    def _reference(self, node: tree.Node, where: str) -> FieldKind:
        if not isinstance(node, tree.Path):
            self.fail(f"{where} needs a field or a key", node)
        return self._reference_of(node).kind

    def _array(self, node: tree.Node, function: str) -> FieldKind:
        kind = self._reference(node, function)
        if kind.type not in (FieldType.ARRAY, FieldType.JSON):
            self.fail(f"{function} reads arrays, and {self._name(node)} is none", node)
        return kind

    def _number(self, node: tree.Node, operator: str) -> None:
        kind = self.kind(node)
        if kind.type not in (*_NUMBERS, FieldType.JSON):
            self.fail(f"{operator!r} computes with numbers; {self._name(node)} is none", node)

    def _name(self, node: tree.Node) -> str:
        match node:
            case tree.Path(name=name, steps=steps):
                return f"{name:.80}{_written(steps)} ({self.kind(node)})"
            case tree.Literal(value=value):
                return _literal(value)
            case tree.ListLiteral():
                return "a list"
            case _:
                return "a number"


def value_of(node: tree.Node) -> Any:
    """Return the value of a literal; a list gives a tuple."""
    return node.values if isinstance(node, tree.ListLiteral) else cast("tree.Literal", node).value


def members_of(node: tree.Node) -> Members:
    """Return a literal as a list of one member."""
    return Members.of((value_of(node),))


def _literal(value: Any) -> str:
    if isinstance(value, tuple):
        return "a list"
    try:
        return f"{value!r:.60}"
    except ValueError:  # Python writes out no integer of more than 4300 digits
        return shown(value)


def _written(steps: tuple[tree.Step, ...]) -> str:
    names = [".".join(step) if isinstance(step, tuple) else step for step in steps[:_STEPS_SHOWN]]
    first = "".join(f"[{name!r:.40}]" for name in names)
    return first + "…" * (len(steps) > _STEPS_SHOWN)


def _comparable(one: FieldKind, other: FieldKind) -> bool:
    if FieldType.JSON in (one.type, other.type):
        return True
    return one.type is other.type or (one.type in _NUMBERS and other.type in _NUMBERS)

"""A filter and columns to a mask: each node of the tree by the columns that it reads."""

from __future__ import annotations

import operator as python
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import numpy as np

from elanus.errors import FilterError
from elanus.query.columns._column import Column
from elanus.query.columns._kinds import ValueType
from elanus.query.filter import _tree as tree
from elanus.query.filter._check import ColumnPath, Kinds, Reference, check, members_of, value_of
from elanus.query.filter._members import Members
from elanus.query.filter.evaluation._arithmetic import arithmetic
from elanus.query.filter.evaluation._compare import compare, is_member
from elanus.query.filter.evaluation._merge import merged
from elanus.query.filter.evaluation._truth import Truth, null_mask, where
from elanus.query.filter.patterns._caseless import folded_table
from elanus.query.filter.patterns._like import like_table
from elanus.query.filter.patterns._regex import regex_table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from elanus.query.columns._strings import Strings


_TABLES: Final[dict[type[tree.StringTest], Callable[[Strings, str], NDArray[np.bool_]]]] = {
    tree.Like: like_table,
    tree.Regex: regex_table,
    tree.HoldsText: folded_table,
}


_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": python.eq,
    "!=": python.ne,
    "<": python.lt,
    "<=": python.le,
    ">": python.gt,
    ">=": python.ge,
}


class ColumnSource(Protocol):
    """What a filter is evaluated over: ``n`` slots of one collection."""

    @property
    def n(self) -> int:
        """Number of slots."""

    @property
    def kinds(self) -> Kinds:
        """The kinds of the fields."""

    def columns(self, paths: Collection[ColumnPath]) -> Mapping[ColumnPath, Column]:
        """Return columns of ``n`` slots: a field (or ``"$meta"``, key), then steps into JSON.

        All that a filter names, at once: each by itself might read all rows.
        """

    def text_match(self, field: str, text: str, minimum: int) -> NDArray[np.bool_]:
        """Return where an analysed field holds ``minimum`` of the words of a text, bool (n,)."""

    def phrase_match(
        self,
        field: str,
        phrases: Sequence[tuple[str, int]],
        among: NDArray[np.bool_] | None,
        *,
        every: bool,
    ) -> NDArray[np.bool_]:
        """Return where an analysed field holds every phrase, or any of them, bool (n,).

        A phrase is a text, whose words stand side by side, and by how much their distances may
        differ from those in it. What is returned of slots that are not ``among`` those asked about
        means nothing.
        """


def evaluate(expression: tree.Expression, source: ColumnSource) -> NDArray[np.bool_]:
    """Return where a filter is true, bool (n,); the caller may change the mask.

    Null logic is three-valued: a comparison with null, or with a missing key, is unknown, ``not``
    of unknown is unknown, and unknown is not true. Equality across types is false, order across
    types is unknown. ``text_match`` and ``phrase_match`` are true or false, also where
    the text is null.

    Args:
        expression: a filter without templates.
        source: the columns, which are asked for once, all of them.

    Raises:
        FilterError: the filter does not fit the schema.
    """
    references = check(expression, source.kinds)
    columns = source.columns({reference.column for reference in references.values()})
    evaluation = _Evaluation(source, expression.text, references, columns)
    return evaluation.truth(expression.root).certain


@dataclass(slots=True, eq=False)
class _Evaluation:
    """One evaluation, with all columns that it reads."""

    source: ColumnSource
    text: str
    references: Mapping[tree.Path, Reference]
    columns: Mapping[ColumnPath, Column]

    def truth(self, node: tree.Node) -> Truth:
        """Evaluate a condition."""
        match node:
            case tree.Compare(operator=operator, left=left, right=right):
                return self._compare(operator, self._value(left), self._value(right))
            case tree.And(operands=operands) | tree.Or(operands=operands):
                return self._joined(operands, every=isinstance(node, tree.And))
            case tree.Not(operand=operand):
                return ~self.truth(operand)
            case tree.Range():
                return self._range(node)
            case tree.In(operand=operand, values=tree.ListLiteral() as values):
                return self._membership(operand, values)
            case tree.StringTest():
                return self._string_test(node)
            case tree.IsNull(operand=operand) | tree.Exists(operand=operand):
                null = null_mask(self._column(operand))
                mask = null if isinstance(node, tree.IsNull) else ~null
                return Truth(mask, mask)
            case tree.IsTrue(operand=operand):
                mask = self.truth(operand).certain
                return Truth(mask, mask)
            case tree.Contains(quantifier=quantifier, operand=operand, values=values):
                return _contains(quantifier, self._column(operand), values)
            case tree.PhraseMatch():
                return self._joined((node,), every=True)
            case tree.TextSearch():
                return self._text_match(node)
            case _:
                return self._bare(node)

    def _joined(self, operands: Sequence[tree.Node], *, every: bool) -> Truth:
        """What all operands say, or any of them.

        Phrases are looked for in the texts: last, and only where the others leave it open; and
        together, so that each text is analysed once.
        """
        join = Truth.__and__ if every else Truth.__or__
        operands = merged(operands, "!=" if every else "==")
        others = [node for node in operands if not isinstance(node, tree.PhraseMatch)]
        found = reduce(join, map(self.truth, others)) if others else None
        phrases: dict[str, list[tuple[str, int]]] = {}
        for node in operands:
            if isinstance(node, tree.PhraseMatch):
                phrase = value_of(node.text), value_of(node.number)
                phrases.setdefault(_field(node), []).append(phrase)
        for field, asked in phrases.items():
            among = None if found is None else found.possible if every else ~found.certain
            mask = self.source.phrase_match(field, asked, among, every=every).copy()
            held = Truth(mask, mask)
            found = held if found is None else join(found, held)
        return cast("Truth", found)

    def _membership(self, operand: tree.Node, values: tree.ListLiteral) -> Truth:
        if isinstance(operand, tree.Literal):
            found = any(operand.value == value for value in values.values)  # exact at any size
            mask = np.full(self.source.n, found, np.bool_)
            return Truth(mask, mask)
        return is_member(self._column(operand), values.members)

    def _string_test(self, node: tree.StringTest) -> Truth:
        column, pattern = self._column(node.operand), str(value_of(node.pattern))
        applies = column.all_kinds() == ValueType.STRING.value
        if column.codes is None:
            truth = where(applies, applies)
        else:
            try:
                table = _TABLES[type(node)](column.strings, pattern)
            except ValueError as error:
                reason = f"regular expression: {error}"
                raise FilterError(reason, self.text, node.pattern.position) from None
            hits = table.take(column.codes)
            truth = Truth(hits, hits) if column.kinds is None else where(hits, applies)
        if isinstance(node, tree.Regex) and self._may_be_missing(node.operand):
            return Truth(truth.certain, truth.certain)
        return truth

    def _may_be_missing(self, operand: tree.Node) -> bool:
        # As in Milvus, a regular expression is false, and not unknown, for what is no string in
        # JSON or in an array, so that `!~` finds it; the null of a field is unknown.
        return isinstance(operand, tree.Path) and self.references[operand].is_within

    def _bare(self, node: tree.Node) -> Truth:
        column = self._column(node)
        if column.bools is None:
            nothing = np.zeros(column.n, np.bool_)
            return where(nothing, nothing)
        if column.kinds is None:
            mask = column.bools.copy()  # the caller may change it
            return Truth(mask, mask)
        return where(column.bools, column.kinds == ValueType.BOOL.value)

    def _range(self, node: tree.Range) -> Truth:
        first, second = node.operators
        low, middle, high = map(self._value, (node.low, node.middle, node.high))
        return self._compare(first, low, middle) & self._compare(second, middle, high)

    def _compare(self, operator: str, left: Any, right: Any) -> Truth:
        if isinstance(left, Column) or isinstance(right, Column):
            return compare(operator, left, right)
        mask = np.full(self.source.n, _OPERATORS[operator](left, right), np.bool_)
        return Truth(mask, mask)

    def _text_match(self, node: tree.TextSearch) -> Truth:
        minimum = value_of(node.number)
        mask = self.source.text_match(_field(node), value_of(node.text), minimum).copy()
        return Truth(mask, mask)

    def _value(self, node: tree.Node) -> Any:
        """Return a Column, or the plain value of a literal."""
        match node:
            case tree.Path():
                return self._read(node)
            case tree.Arithmetic(operator=operator, left=left, right=right):
                return arithmetic(operator, self._column(left), self._column(right))
            case tree.ArrayLength(operand=operand):
                return _array_length(self._column(operand))
            case tree.Literal(value=value):
                return value
            case _:
                return value_of(node)

    def _column(self, node: tree.Node) -> Column:
        value = self._value(node)
        return value if isinstance(value, Column) else Column.constant(value, self.source.n)

    def _read(self, path: tree.Path) -> Column:
        reference = self.references[path]
        column = self.columns[reference.column]
        return column if reference.subscript is None else column.subscript(reference.subscript)


def _field(node: tree.TextSearch) -> str:
    return cast("tree.Path", node.operand).name


def _array_length(column: Column) -> Column:
    arrays = column.all_kinds() == ValueType.ARRAY.value
    kinds = np.where(arrays, ValueType.INT.value, ValueType.MISSING.value).astype(np.uint8)
    lengths = np.zeros(column.n, np.int64) if column.lengths is None else column.lengths
    return Column.of_numbers(kinds, lengths, np.zeros(column.n))


def _contains(quantifier: tree.Quantifier, column: Column, values: tree.Node) -> Truth:
    arrays = column.all_kinds() == ValueType.ARRAY.value
    members = (
        members_of(values) if quantifier == "one" else cast("tree.ListLiteral", values).members
    )
    if column.elements is None or column.owners is None or column.lengths is None:
        empty = quantifier == "all" and not value_of(values)
        return where(np.bool_(empty), arrays)
    contains = _contains_all if quantifier == "all" else _contains_any
    return where(contains(column, members), arrays)


def _contains_any(column: Column, members: Members) -> NDArray[np.bool_]:
    hits = np.zeros(column.n, np.bool_)
    elements, owners = column.elements, column.owners
    if elements is not None and owners is not None:
        hits[owners[is_member(elements, members).certain]] = True
    return hits


def _contains_all(column: Column, members: Members) -> NDArray[np.bool_]:
    hits = np.ones(column.n, np.bool_)
    for value in members.distinct():
        hits &= _contains_any(column, Members.of((value,)))
        if not hits.any():
            break  # a long list ends here, at the latest behind the longest array
    return hits

"""The tree of a parsed filter.

Every node knows the offset in the text that it came from, so that every error can point at its
place. Nodes are values: equal wherever they stood in the text. Equal nodes may still differ in
what they mean, as those of ``1`` and ``True`` do, so expressions are told apart by identity.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias
from typing import Literal as OneOf

from elanus.errors import FilterError
from elanus.query.filter._members import Members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ComparisonOperator: TypeAlias = OneOf["==", "!=", "<", "<=", ">", ">="]
ArithmeticOperator: TypeAlias = OneOf["+", "-", "*", "/", "%", "**"]
Quantifier: TypeAlias = OneOf["one", "all", "any"]
Step: TypeAlias = str | int | tuple[str, ...]
"""A key, a position in an array, or keys that may stand for one with dots between them."""

# Deep trees are walked by recursion, three frames a level: this stays far below Python's limit,
# and above what people and query builders write.
MAX_DEPTH: Final = 100


@dataclass(frozen=True, slots=True)
class Node:
    """Base of all nodes; ``position`` is an offset in the filter's text, None without a text."""

    position: int | None = field(compare=False)
    _children: ClassVar[tuple[str, ...]] = ()

    def children(self) -> Iterator[Node]:
        """Yield the nodes directly below, in the order of the text."""
        for name in self._children:
            child = getattr(self, name)
            if isinstance(child, tuple):
                yield from child
            else:
                yield child

    def with_children(self, change: Callable[[Node], Node]) -> Node:
        """Return this node with every child replaced by ``change(child)``."""
        changed: dict[str, Any] = {}
        for name in self._children:
            child = getattr(self, name)
            several = isinstance(child, tuple)
            changed[name] = tuple(map(change, child)) if several else change(child)
        return replace(self, **changed) if changed else self


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A bool, int, float or str."""

    value: bool | float | str


@dataclass(frozen=True, slots=True)
class ListLiteral(Node):
    """A list of values; lists inside are tuples."""

    values: tuple[Any, ...]
    members: Members = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", Members.of(self.values))


@dataclass(frozen=True, slots=True)
class ListDisplay(Node):
    """A list that holds templates; binding turns it into a ``ListLiteral``."""

    items: tuple[Node, ...]
    _children = ("items",)


@dataclass(frozen=True, slots=True)
class Template(Node):
    """A place ``{name}`` for a value."""

    name: str


@dataclass(frozen=True, slots=True)
class Path(Node):
    """A field, a dynamic key, or a place within one: ``name["a"][0]``."""

    name: str
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    """``left operator right``; a unary minus is ``0 - right``."""

    operator: ArithmeticOperator
    left: Node
    right: Node
    _children = ("left", "right")


@dataclass(frozen=True, slots=True)
class ArrayLength(Node):
    """``array_length(operand)``."""

    operand: Node
    _children = ("operand",)


@dataclass(frozen=True, slots=True)
class And(Node):
    """All of two or more conditions."""

    operands: tuple[Node, ...]
    _children = ("operands",)


@dataclass(frozen=True, slots=True)
class Or(Node):
    """Any of two or more conditions."""

    operands: tuple[Node, ...]
    _children = ("operands",)


@dataclass(frozen=True, slots=True)
class Not(Node):
    """The opposite; of unknown, unknown."""

    operand: Node
    _children = ("operand",)


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """``left operator right``."""

    operator: ComparisonOperator
    left: Node
    right: Node
    _children = ("left", "right")


@dataclass(frozen=True, slots=True)
class Range(Node):
    """``low operators[0] middle operators[1] high``, as ``1 < x <= 5``."""

    operators: tuple[ComparisonOperator, ComparisonOperator]
    low: Node
    middle: Node
    high: Node
    _children = ("low", "middle", "high")


@dataclass(frozen=True, slots=True)
class In(Node):
    """``operand in values``."""

    operand: Node
    values: Node
    _children = ("operand", "values")


@dataclass(frozen=True, slots=True)
class StringTest(Node):
    """A test of strings against a literal; ``written`` is how errors call it."""

    operand: Node
    pattern: Node
    written: ClassVar[str]
    _children = ("operand", "pattern")


@dataclass(frozen=True, slots=True)
class Like(StringTest):
    """``operand like pattern``."""

    written = "`like`"


@dataclass(frozen=True, slots=True)
class Regex(StringTest):
    """``operand =~ pattern``."""

    written = "a regular expression"


@dataclass(frozen=True, slots=True)
class HoldsText(StringTest):
    """``icontains(operand, pattern)``: the text occurs, whatever its case."""

    written = "icontains"


@dataclass(frozen=True, slots=True)
class IsNull(Node):
    """``operand is null``: null or missing."""

    operand: Node
    _children = ("operand",)


@dataclass(frozen=True, slots=True)
class IsTrue(Node):
    """``operand is true``: not false, and not unknown."""

    operand: Node
    _children = ("operand",)


@dataclass(frozen=True, slots=True)
class Exists(Node):
    """``exists operand``: there, and not null."""

    operand: Node
    _children = ("operand",)


@dataclass(frozen=True, slots=True)
class Contains(Node):
    """``array_contains`` and its five relatives; ``function`` is the name that was written."""

    function: str = field(compare=False)
    quantifier: Quantifier
    operand: Node
    values: Node
    _children = ("operand", "values")


@dataclass(frozen=True, slots=True)
class TextSearch(Node):
    """A search of an analysed field for words.

    ``written`` is the function's name, ``number_written`` how errors call the number, and ``least``
    the smallest one.
    """

    operand: Node
    text: Node
    number: Node
    written: ClassVar[str]
    number_written: ClassVar[str]
    least: ClassVar[int]
    _children = ("operand", "text", "number")


@dataclass(frozen=True, slots=True)
class TextMatch(TextSearch):
    """``text_match(operand, text, minimum_should_match=number)``."""

    written = "text_match"
    number_written = "minimum_should_match"
    least = 1


@dataclass(frozen=True, slots=True)
class PhraseMatch(TextSearch):
    """``phrase_match(operand, text, number)``; the number is the slop."""

    written = "phrase_match"
    number_written = "the slop of phrase_match"
    least = 0


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """A filter as a tree. Two are the same only if they are one object.

    Attributes:
        text: the filter as written, for errors; empty if it was no text.
        root: the condition.
        templates: names of the templates that have no value yet.
        expected: paths of keys that some document should have; see `expected_keys`.
    """

    text: str
    root: Node
    templates: frozenset[str] = frozenset()
    expected: tuple[tuple[Step, ...], ...] = ()


def literal(position: int | None, value: Any) -> Node:
    """Return the node of a bool, int, float or str, or of a tuple of such."""
    return (ListLiteral if isinstance(value, tuple) else Literal)(position, value)


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and everything below, without recursion."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node.children())


def check_depth(root: Node, text: str) -> None:
    """Refuse chains like ``a + a + …``, which nest to the left without nested calls of the parser.

    Raises:
        FilterError: the tree is deeper than others can walk it.
    """
    level, depth = [root], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise too_deep(text, level[0].position)
        level = [child for node in level for child in node.children()]


def too_deep(text: str, position: int | None) -> FilterError:
    """Return the error of a filter with too many levels."""
    reason = f"more than {MAX_DEPTH} levels deep; use `in` lists, or templates, for many values"
    return FilterError(reason, text, position)

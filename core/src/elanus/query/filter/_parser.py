"""Tokens to a tree, functions included: precedence climbing, with Milvus's precedences.

One difference: ``not`` binds weaker than comparisons, as in Python and SQL. In Milvus it binds
stronger, so that ``not a == 1`` is an error there; nothing that Milvus accepts changes its meaning.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NoReturn, cast

from elanus.errors import FilterError, likely
from elanus.query.filter import _tree as tree
from elanus.query.filter._lexer import Token, TokenType, tokenize

_OR, _AND, _NOT, _COMPARE, _SUM, _TERM, _SIGN, _POWER = range(1, 9)
_ARITHMETIC: Final = {"+": _SUM, "-": _SUM, "*": _TERM, "/": _TERM, "%": _TERM, "**": _POWER}
_STRENGTHS: Final = {
    "or": _OR,
    "and": _AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "=~", "!~"), _COMPARE),
    **dict.fromkeys(("in", "like", "is", "not"), _COMPARE),
    **_ARITHMETIC,
}
_OPERATORS: Final = (TokenType.KEYWORD, TokenType.SYMBOL)
_COMMA: Final = (TokenType.SYMBOL, ",")
_CLOSE: Final = (TokenType.SYMBOL, "]")
_ASCENDING: Final = ("<", "<=")
_DESCENDING: Final = (">", ">=")
_ORDERED: Final = _ASCENDING + _DESCENDING
_COMPARISONS: Final = ("==", "!=", *_ORDERED)
_REGEX: Final = ("=~", "!~")
_QUANTIFIERS: Final[dict[str, tree.Quantifier]] = {
    "array_contains": "one",
    "array_contains_all": "all",
    "array_contains_any": "any",
    "json_contains": "one",
    "json_contains_all": "all",
    "json_contains_any": "any",
}
_FUNCTIONS: Final = (*_QUANTIFIERS, "array_length", "text_match", "phrase_match", "icontains")
_ARGUMENTS: Final = {
    "array_length": ((1,), "1 argument"),
    "phrase_match": ((2, 3), "2 or 3 arguments"),
}
_OPTION: Final = "minimum_should_match"

# Texts longer than this are mostly lists of keys that come once; they would crowd the cache.
LONGEST_REMEMBERED: Final = 10_000


def parse_filter(expression: str) -> tree.Expression:
    """Parse a filter; the results of recent calls are remembered.

    Args:
        expression: a filter in Milvus's language, as ``year >= 2020 and tags["x"] == {tag}``.

    Returns:
        The tree, immutable.

    Raises:
        FilterError: the text is no filter; ``position`` says where.
    """
    if not isinstance(expression, str):
        raise FilterError(f"a filter is a string, not {type(expression).__name__}")
    return remembered(expression) if len(expression) <= LONGEST_REMEMBERED else _parse(expression)


def _parse(expression: str) -> tree.Expression:
    parser = Parser(expression)
    root = parser.condition()
    tree.check_depth(root, expression)
    names = (node.name for node in tree.walk(root) if isinstance(node, tree.Template))
    return tree.Expression(expression, root, frozenset(names))


remembered = lru_cache(maxsize=512)(_parse)
"""`parse_filter` of a text that is not too long."""


class Parser:
    """The state of one parse."""

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self._tokens = tokenize(expression)
        self._at = 0
        self._depth = 0

    @property
    def next(self) -> Token:
        """The token that comes next."""
        return self._tokens[self._at]

    def take(self) -> Token:
        """Return the next token and move on."""
        token = self._tokens[self._at]
        self._at += 1
        return token

    def comes(self, *values: str) -> bool:
        """Return whether the next token is one of these keywords or symbols."""
        token = self.next
        return token.type in (TokenType.KEYWORD, TokenType.SYMBOL) and token.value in values

    def accept(self, *values: str) -> bool:
        """Move on if the next token is one of these keywords or symbols, and say so."""
        found = self.comes(*values)
        self._at += found
        return found

    def expect(self, value: str) -> Token:
        """Take this symbol or keyword; anything else is an error."""
        if not self.comes(value):
            self.fail(f"expected {value!r}")
        return self.take()

    def fail(self, reason: str, position: int | None = None) -> NoReturn:
        """Raise a FilterError; without a position it names and points at the next token."""
        if position is None:
            found = self.next
            written = f"{self._written(found)!r:.80}"
            shown = found.value if found.type is TokenType.END else written
            reason, position = f"{reason}, found {shown}", found.start
        raise FilterError(reason, self.expression, position)

    def _written(self, token: Token) -> str:
        return self.expression[token.start : token.end]

    def _ended(self) -> bool:
        return self.next.type is TokenType.END

    def condition(self) -> tree.Node:
        """Parse the whole text."""
        if self._ended():
            self.fail("the filter is empty", 0)
        root = self.operand()
        if not self._ended():
            hint = "; equality is written ==" if self.comes("=") else ""
            self.fail(f"expected an operator or the end{hint}")
        return root

    def operand(self, binding: int = _OR) -> tree.Node:
        """Parse an operand and every operator behind it that binds at least so strongly."""
        self._depth += 1
        if self._depth > tree.MAX_DEPTH:
            raise tree.too_deep(self.expression, self.next.start)
        left = self._prefix()
        while (node := self._infix(left, binding)) is not None:
            left = node
        self._depth -= 1
        return left

    def _prefix(self) -> tree.Node:
        token = self.take()
        match token.type, token.value:
            case TokenType.LITERAL, value:
                return tree.Literal(token.start, value)
            case TokenType.NAME, _:
                return self._named(token)
            case TokenType.LIST, values:
                return tree.ListLiteral(token.start, values)
            case TokenType.TEMPLATE, name:
                return tree.Template(token.start, name)
            case TokenType.SYMBOL, "(":
                inner = self.operand()
                self.expect(")")
                return inner
            case TokenType.SYMBOL, "[":
                return self._list(token)
            case TokenType.SYMBOL, ("-" | "+"):
                return self._signed(token)
            case TokenType.KEYWORD, "not":
                return tree.Not(token.start, self.operand(_NOT))
            case TokenType.KEYWORD, "exists":
                return tree.Exists(token.start, self.operand(_POWER + 1))
            case TokenType.KEYWORD, "null":
                return self.fail("null is no value: write `is null` or `is not null`", token.start)
            case _:
                self._at -= 1
                return self.fail("expected a value, a field or a condition")

    def _named(self, token: Token) -> tree.Node:
        if self.comes("("):
            return self._call(token)
        steps: list[str | int] = []
        while self.accept("["):
            steps.append(self._step())
            self.expect("]")
        return tree.Path(token.start, token.value, tuple(steps))

    def _call(self, name: Token) -> tree.Node:
        """Parse the arguments behind a function's name."""
        function = self._function(name)
        self.expect("(")
        arguments: list[tree.Node] = []
        minimum: tree.Node | None = None
        while not self.comes(")"):
            if self.next.type is TokenType.NAME and self.next.value in (_OPTION, _OPTION.upper()):
                minimum = self._option(function)
            else:
                arguments.append(self.operand())
            if not self.accept(","):
                break
        self.expect(")")
        return self._applied(function, name.start, arguments, minimum)

    def _function(self, name: Token) -> str:
        written = str(name.value)
        function = written.lower()
        # Milvus takes function names in lower and in upper case, and nothing between.
        if function not in _FUNCTIONS or written not in (function, function.upper()):
            known = ", ".join(_FUNCTIONS) + likely(function, _FUNCTIONS)
            self.fail(f"unknown function {written!r:.80}; known: {known}", name.start)
        return function

    def _option(self, function: str) -> tree.Node:
        token = self.take()
        if function != "text_match":
            self.fail(f"{function} has no argument {_OPTION}", token.start)
        self.expect("=")
        return self.operand()

    def _applied(
        self,
        function: str,
        position: int,
        arguments: list[tree.Node],
        minimum: tree.Node | None,
    ) -> tree.Node:
        counts, said = _ARGUMENTS.get(function, ((2,), "2 arguments"))
        if len(arguments) not in counts:
            self.fail(f"{function} takes {said}, got {len(arguments)}", position)
        if function == "array_length":
            return tree.ArrayLength(position, arguments[0])
        if function == "text_match":
            default = tree.Literal(position, 1)
            return tree.TextMatch(position, arguments[0], arguments[1], minimum or default)
        if function == "phrase_match":
            slop = arguments[2] if arguments[2:] else tree.Literal(position, 0)
            return tree.PhraseMatch(position, arguments[0], arguments[1], slop)
        if function == "icontains":
            return tree.HoldsText(position, arguments[0], arguments[1])
        return tree.Contains(position, function, _QUANTIFIERS[function], *arguments)

    def _step(self) -> str | int:
        token = self.next
        if token.type is TokenType.LITERAL and type(token.value) in (str, int):
            return cast("str | int", self.take().value)
        return self.fail('expected a key in quotes, as ["key"], or a position, as [0]')

    def _signed(self, sign: Token) -> tree.Node:
        operand = self.operand(_SIGN)
        number = isinstance(operand, tree.Literal) and type(operand.value) in (int, float)
        if number:
            value = cast("float", cast("tree.Literal", operand).value)
            return tree.Literal(sign.start, -value if sign.value == "-" else value)
        # A plus changes nothing, but `+"a"` is an error all the same: the type check sees a sum.
        operator = cast("tree.ArithmeticOperator", sign.value)
        return tree.Arithmetic(sign.start, operator, tree.Literal(sign.start, 0), operand)

    def _list(self, start: Token) -> tree.Node:
        return self._plain_list(start) or self._general_list(start)

    def _plain_list(self, start: Token) -> tree.Node | None:
        """Take a list of literals in one go: there may be 100,000 of them."""
        stop = self._at
        while self._tokens[stop].type is TokenType.LITERAL and self._tokens[stop + 1][:2] == _COMMA:
            stop += 2
        if self._tokens[stop].type is not TokenType.LITERAL or self._tokens[stop + 1][:2] != _CLOSE:
            return None
        values = tuple(token.value for token in self._tokens[self._at : stop + 1 : 2])
        self._at = stop + 2
        return tree.ListLiteral(start.start, values)

    def _general_list(self, start: Token) -> tree.Node:
        items: list[tree.Node] = []
        while not self.comes("]"):
            items.append(self.operand(_SIGN))
            if not self.accept(",") and not self.comes("]"):
                self.fail("expected ',' or ']'")
        self.expect("]")
        return self._list_node(start.start, items)

    def _list_node(self, position: int, items: list[tree.Node]) -> tree.Node:
        values: list[Any] = []
        for item in items:
            if isinstance(item, tree.Literal):
                values.append(item.value)
            elif isinstance(item, tree.ListLiteral):
                values.append(item.values)
            elif not isinstance(item, (tree.Template, tree.ListDisplay)):
                self.fail("a list holds values and templates only", item.position)
        if len(values) < len(items):
            return tree.ListDisplay(position, tuple(items))
        return tree.ListLiteral(position, tuple(values))

    def _infix(self, left: tree.Node, binding: int) -> tree.Node | None:
        """Parse one operator and its right side, or return None if none binds so strongly."""
        token = self.next
        if token.type not in _OPERATORS or _STRENGTHS.get(token.value, 0) < binding:
            return None
        operator = token.value
        if operator in _ARITHMETIC:
            return self._arithmetic(left)
        if operator in ("and", "or"):
            return self._junction(left)
        if operator in _COMPARISONS:
            return self._comparison(left)
        if operator in _REGEX:
            return self._regex(left)
        return self._word_operator(left)

    def _arithmetic(self, left: tree.Node) -> tree.Node:
        token = self.take()
        strength = _ARITHMETIC[token.value]
        # A power groups to the right and takes a sign on its right: 2 ** -1.
        right = self.operand(_SIGN if strength == _POWER else strength + 1)
        return tree.Arithmetic(token.start, token.value, left, right)

    def _junction(self, left: tree.Node) -> tree.Node:
        word, position = self.next.value, self.next.start
        operands = [left]
        while self.accept(word):
            operands.append(self.operand(_STRENGTHS[word] + 1))
        node = tree.And if word == "and" else tree.Or
        return node(position, tuple(operands))

    def _comparison(self, left: tree.Node) -> tree.Node:
        first = self.take()
        middle = self.operand(_SUM)
        if not self.comes(*_COMPARISONS):
            return tree.Compare(first.start, first.value, left, middle)
        second = self.take()
        if not self._one_way(first.value, second.value):
            self.fail("a chain of comparisons goes one way, as 1 < x <= 5", second.start)
        high = self.operand(_SUM)
        if self.comes(*_COMPARISONS):
            self.fail("a chain has two comparisons; join more by `and`", self.next.start)
        return tree.Range(first.start, (first.value, second.value), left, middle, high)

    def _regex(self, left: tree.Node) -> tree.Node:
        token = self.take()
        node = tree.Regex(token.start, left, self.operand(_SUM))
        return _negated_if(token.value == "!~", token.start, node)

    @staticmethod
    def _one_way(first: str, second: str) -> bool:
        return {first, second} <= {*_ASCENDING} or {first, second} <= {*_DESCENDING}

    def _word_operator(self, left: tree.Node) -> tree.Node | None:
        position = self.next.start
        if self.accept("is"):
            negated = self.accept("not")
            return _negated_if(negated, position, self._state(left, position))
        negated = self.accept("not")
        if self.accept("in"):
            return _negated_if(negated, position, tree.In(position, left, self._members()))
        if self.accept("like"):
            node = tree.Like(position, left, self.operand(_SUM))
            return _negated_if(negated, position, node)
        if negated:
            self.fail("expected `in` or `like` after `not`")
        return None

    def _state(self, left: tree.Node, position: int) -> tree.Node:
        if self.next.type is TokenType.LITERAL and self.next.value is True:
            self.take()
            return tree.IsTrue(position, left)
        if not self.accept("null"):
            self.fail("expected 'null' or 'true'")
        return tree.IsNull(position, left)

    def _members(self) -> tree.Node:
        if not self.comes("[") and self.next.type not in (TokenType.LIST, TokenType.TEMPLATE):
            self.fail("expected a list in brackets, as [1, 2], or a template")
        return self.operand(_SUM)


def _negated_if(negated: bool, position: int, node: tree.Node) -> tree.Node:
    return tree.Not(position, node) if negated else node

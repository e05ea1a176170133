"""Calls of functions in filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from elanus.query.filter import _tree as tree
from elanus.query.filter._lexer import Token, TokenType

if TYPE_CHECKING:
    from elanus.query.filter._parser import Parser

_QUANTIFIERS: Final[dict[str, tree.Quantifier]] = {
    "array_contains": "one",
    "array_contains_all": "all",
    "array_contains_any": "any",
    "json_contains": "one",
    "json_contains_all": "all",
    "json_contains_any": "any",
}
_FUNCTIONS: Final = (*_QUANTIFIERS, "array_length", "text_match", "icontains")
_OPTION: Final = "minimum_should_match"


def parse_call(parser: Parser, name: Token) -> tree.Node:
    """Parse the arguments behind a function's name.

    Raises:
        FilterError: no such function, or not its arguments.
    """
    function = _function(parser, name)
    parser.expect("(")
    arguments: list[tree.Node] = []
    minimum: tree.Node | None = None
    while not parser.comes(")"):
        if _is_option(parser.next):
            minimum = _option(parser, function)
        else:
            arguments.append(parser.operand())
        if not parser.accept(","):
            break
    parser.expect(")")
    return _call(parser, function, name, arguments, minimum)


def _function(parser: Parser, name: Token) -> str:
    written = str(name.value)
    function = written.lower()
    # Milvus takes function names in lower and in upper case, and nothing between.
    if function not in _FUNCTIONS or written not in (function, function.upper()):
        known = ", ".join(_FUNCTIONS)
        parser.fail(f"unknown function {written!r:.80}; known: {known}", name.start)
    return function


def _is_option(token: Token) -> bool:
    return token.type is TokenType.NAME and token.value in (_OPTION, _OPTION.upper())


def _option(parser: Parser, function: str) -> tree.Node:
    token = parser.take()
    if function != "text_match":
        parser.fail(f"{function} has no argument {_OPTION}", token.start)
    parser.expect("=")
    return parser.operand()


def _call(
    parser: Parser,
    function: str,
    name: Token,
    arguments: list[tree.Node],
    minimum: tree.Node | None,
) -> tree.Node:
    expected = 1 if function == "array_length" else 2
    if len(arguments) != expected:
        noun = "argument" if expected == 1 else "arguments"
        parser.fail(f"{function} takes {expected} {noun}, got {len(arguments)}", name.start)
    if function == "array_length":
        return tree.ArrayLength(name.start, arguments[0])
    if function == "text_match":
        default = tree.Literal(name.start, 1)
        return tree.TextMatch(name.start, arguments[0], arguments[1], minimum or default)
    if function == "icontains":
        return tree.HoldsText(name.start, arguments[0], arguments[1])
    return tree.Contains(name.start, function, _QUANTIFIERS[function], *arguments)

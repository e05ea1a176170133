"""Filter text to tokens."""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import Any, Final, NamedTuple, NoReturn

from elanus.errors import FilterError


class TokenType(Enum):
    """What a token is."""

    NAME = "name"
    KEYWORD = "keyword"
    LITERAL = "literal"
    LIST = "list"
    TEMPLATE = "template"
    SYMBOL = "symbol"
    END = "end"


class Token(NamedTuple):
    """A token and its place.

    Attributes:
        type: what it is.
        value: the decoded value of a literal, the values of a list as a tuple, the canonical
            spelling of a keyword or symbol, the name otherwise.
        start: offset of its first character.
        end: offset behind its last character.
    """

    type: TokenType
    value: Any
    start: int
    end: int


_TOKEN: Final = re.compile(
    r"""
    [ \t\r\n\f\v]* (?:
      (?P<raw>      [rR] (?: "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' ) )
    | (?P<name>     [^\W\d]\w* | \$meta\b )
    | (?P<symbol>   \*\* | && | \|\| | [=!]~ | [=!<>]= | [-+*/%()\[\],<>!=] )
    | (?P<string>   "[^"\\]*(?:\\.[^"\\]*)*" | '[^'\\]*(?:\\.[^'\\]*)*' )
    | (?P<float>    (?: [0-9]+\.[0-9]* | \.[0-9]+ ) (?:[eE][+-]?[0-9]+)? (?!\w)
                  | [0-9]+[eE][+-]?[0-9]+ (?!\w) )
    | (?P<integer>  (?: 0[xX][0-9a-fA-F]+ | 0[bB][01]+ | 0+ | [1-9][0-9]* ) (?![\w.]) )
    | (?P<template> \{ \s* [^\W\d]\w* \s* \} )
    | (?P<end>      \Z )
    )
    """,
    re.VERBOSE | re.DOTALL,
)

# Milvus takes these in lower and in upper case, and nothing between.
_WORDS: Final[dict[str, tuple[TokenType, Any]]] = {
    **{
        spelling: (TokenType.KEYWORD, word)
        for word in ("and", "or", "not", "in", "like", "is", "null", "exists")
        for spelling in (word, word.upper())
    },
    **dict.fromkeys(("true", "True", "TRUE"), (TokenType.LITERAL, True)),
    **dict.fromkeys(("false", "False", "FALSE"), (TokenType.LITERAL, False)),
}
_SAME: Final = {"&&": "and", "||": "or", "!": "not"}

_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED: Final = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "b": "\b",
    "f": "\f",
    "a": "\a",
    "v": "\v",
    "0": "\0",
    "\\": "\\",
    '"': '"',
    "'": "'",
    "/": "/",
    # `like` has escapes of its own, and people write them with one backslash.
    "%": r"\%",
    "_": r"\_",
}
# Behind these, a backslash that escapes nothing is one of the pattern: "\." and "\d".
_REGEX: Final = ("=~", "!~")
# More digits than any float has; int() refuses far longer ones, with an error of its own.
_MOST_DIGITS: Final = 400
_LIMIT: Final = 10**_MOST_DIGITS

# Without lists inside, without templates and without escapes.
_LIST: Final = re.compile(r"\[[^\[\]{}\\]*\]")
_LISTED: Final = {bool, int, float, str}
_SPACE: Final = " \t\r\n\f\v"


def tokenize(expression: str) -> list[Token]:
    """Split a filter into tokens; the last one is of type ``END``.

    Raises:
        FilterError: a character that begins no token, a string without an end, a number or an
            escape that does not exist.
    """
    tokens: list[Token] = []
    position, before = 0, ""
    while True:
        match = _TOKEN.match(expression, position)
        if match is None:
            position = len(expression) - len(expression[position:].lstrip(_SPACE))
            raise FilterError(_complaint(expression, position), expression, position)
        token = _token(match, expression, pattern=before in _REGEX)
        if token.value == "[" and token.type is TokenType.SYMBOL:
            # Behind a name, or behind another one, it is a step into a value.
            steps = before == "]" or (tokens and tokens[-1].type is TokenType.NAME)
            token = token if steps else _whole_list(token, expression) or token
        tokens.append(token)
        if token.type is TokenType.END:
            return tokens
        position = token.end
        before = token.value if token.type is TokenType.SYMBOL else ""


def _whole_list(bracket: Token, expression: str) -> Token | None:
    """Take a list of plain values in one go, as there may be a million; None if it has others."""
    found = _LIST.match(expression, bracket.start)
    if found is None:
        return None
    text = found[0]
    if "'" in text:
        if '"' in text:
            return None
        text = text.replace("'", '"')
    try:
        values = _JSON.decode(text)
    except ValueError:
        return None
    # What is no JSON here, or reads otherwise, is left to the parser, which knows what is wrong.
    if not set(map(type, values)) <= _LISTED or not is_encodable(text):
        return None
    numbers = [value for value in values if type(value) is not str]
    if numbers and not (min(numbers) > -_LIMIT and max(numbers) < _LIMIT):
        return None
    return Token(TokenType.LIST, tuple(values), bracket.start, found.end())


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_JSON: Final = json.JSONDecoder(parse_constant=_no_constant, strict=False)


def _complaint(expression: str, position: int) -> str:
    character = expression[position]
    if character in "\"'":
        return "this string has no closing quote"
    if character.isdigit():
        return "this is not a number"
    if character == ".":
        return 'a key within a field is written field["key"], without a dot'
    if character == "{":
        return "a template is a name in braces, as in {name}"
    return f"unexpected character {character!r}"


def _token(match: re.Match[str], expression: str, *, pattern: bool) -> Token:
    group = match.lastgroup or ""
    text, (start, end) = match[group], match.span(group)
    if group == "name":
        type_, value = _WORDS.get(text) or (TokenType.NAME, text)
        return Token(type_, value, start, end)
    if group == "symbol":
        if text in _SAME:
            return Token(TokenType.KEYWORD, _SAME[text], start, end)
        return Token(TokenType.SYMBOL, text, start, end)
    if group == "template":
        return Token(TokenType.TEMPLATE, text[1:-1].strip(), start, end)
    if group == "string":
        value = _unescaped(text[1:-1], start + 1, expression, pattern=pattern)
        return Token(TokenType.LITERAL, value, start, end)
    if group == "raw":
        return Token(TokenType.LITERAL, _encodable(text[2:-1], start, expression), start, end)
    if group == "end":
        return Token(TokenType.END, "the end", start, end)
    return Token(TokenType.LITERAL, _number(group, text, start, expression), start, end)


def _number(group: str, text: str, start: int, expression: str) -> float:
    if len(text) > _MOST_DIGITS:
        raise FilterError(f"a number of {len(text)} characters is too long", expression, start)
    value = int(text, 0) if group == "integer" else float(text)
    if value == float("inf"):
        raise FilterError(f"the number {text:.80} is too large for float64", expression, start)
    return value


def _unescaped(text: str, start: int, expression: str, *, pattern: bool) -> str:
    if "\\" in text:
        text = _ESCAPE.sub(lambda match: _character(match, start, expression, pattern), text)
        if not is_encodable(text):
            # Two \u escapes may be the halves of one character.
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return _encodable(text, start - 1, expression)


def _encodable(text: str, position: int, expression: str) -> str:
    if not is_encodable(text):
        raise FilterError("this string holds half of a surrogate pair", expression, position)
    return text


def _character(match: re.Match[str], start: int, expression: str, pattern: bool) -> str:
    code = match[1] or match[2]
    if code:
        return chr(int(code, 16))
    if match[3] not in _ESCAPED:
        if pattern:
            return match[0]
        raise FilterError(
            f'unknown escape \\{match[3]}; write \\\\ for a backslash, or a raw string r"…"',
            expression,
            start + match.start(),
        )
    return _ESCAPED[match[3]]


def is_encodable(text: str) -> bool:
    """Return whether a string can be stored at all: UTF-8 has no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

"""Filter text to tokens."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, Final, NamedTuple

from elanus.errors import FilterError


class TokenType(Enum):
    """What a token is."""

    NAME = "name"
    KEYWORD = "keyword"
    LITERAL = "literal"
    TEMPLATE = "template"
    SYMBOL = "symbol"
    END = "end"


class Token(NamedTuple):
    """A token and its place.

    Attributes:
        type: what it is.
        value: the decoded value of a literal, the canonical spelling of a keyword or symbol,
            the name otherwise.
        start: offset of its first character.
        end: offset behind its last character.
    """

    type: TokenType
    value: Any
    start: int
    end: int


_TOKEN: Final = re.compile(
    r"""
      (?P<space>    [ \t\r\n\f\v]+ )
    | (?P<raw>      [rR] (?: "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' ) )
    | (?P<string>   "[^"\\]*(?:\\.[^"\\]*)*" | '[^'\\]*(?:\\.[^'\\]*)*' )
    | (?P<float>    (?: [0-9]+\.[0-9]* | \.[0-9]+ ) (?:[eE][+-]?[0-9]+)? (?!\w)
                  | [0-9]+[eE][+-]?[0-9]+ (?!\w) )
    | (?P<integer>  (?: 0[xX][0-9a-fA-F]+ | 0[bB][01]+ | 0+ | [1-9][0-9]* ) (?![\w.]) )
    | (?P<name>     [^\W\d]\w* | \$meta\b )
    | (?P<template> \{ \s* [^\W\d]\w* \s* \} )
    | (?P<symbol>   \*\* | && | \|\| | [=!]~ | [=!<>]= | [-+*/%()\[\],<>!=] )
    """,
    re.VERBOSE | re.DOTALL,
)

# Milvus takes these in lower and in upper case, and nothing between.
_KEYWORDS: Final = {
    spelling: word
    for word in ("and", "or", "not", "in", "like", "is", "null", "exists")
    for spelling in (word, word.upper())
}
_CONSTANTS: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
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


def tokenize(expression: str) -> list[Token]:
    """Split a filter into tokens; the last one is of type ``END``.

    Raises:
        FilterError: a character that begins no token, a string without an end, a number or an
            escape that does not exist.
    """
    tokens: list[Token] = []
    position = 0
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        if match is None:
            raise FilterError(_complaint(expression, position), expression, position)
        if match.lastgroup != "space":
            pattern = bool(tokens) and tokens[-1].value in _REGEX
            tokens.append(_token(match, expression, pattern=pattern))
        position = match.end()
    tokens.append(Token(TokenType.END, "the end", position, position))
    return tokens


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
    group, text = match.lastgroup or "", match[0]
    start, end = match.span()
    if group == "name":
        if text in _CONSTANTS:
            return Token(TokenType.LITERAL, _CONSTANTS[text], start, end)
        if text in _KEYWORDS:
            return Token(TokenType.KEYWORD, _KEYWORDS[text], start, end)
        return Token(TokenType.NAME, text, start, end)
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
    return Token(TokenType.LITERAL, _number(group, text, start, expression), start, end)


def _number(group: str, text: str, start: int, expression: str) -> float:
    if len(text) > _MOST_DIGITS:
        raise FilterError(f"a number of {len(text)} characters is too long", expression, start)
    value = int(text, 0) if group == "integer" else float(text)
    if value == float("inf"):
        raise FilterError(f"the number {text} is too large for float64", expression, start)
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

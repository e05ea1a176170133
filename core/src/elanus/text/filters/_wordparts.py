"""The filter ``wordparts``: a word whole, and the parts that people search for."""

from __future__ import annotations

import re

# Longer than any identifier that a person wrote; base64 has parts that mean nothing.
LONGEST_IDENTIFIER = 64

_PART = re.compile(r"A+s(?![as])|A+(?![as])|A?[as]+|9+(?:[.,]9+)*")
_POSSESSIVES = ("'s", "'S")
# Marks that `_shape` keeps; another character is a separator too, or a mark inside a word.
_SEPARATORS = frozenset("_.,'+#")


def wordparts(token: str) -> list[str]:
    """The word, then the parts of a camelCase, snake_case, dotted or letter-digit word.

    ``getHTTPResponse2`` gives itself, get, HTTP, Response, 2. Numbers stay whole (``v1.2.3`` gives
    itself and 1.2.3; ``3.14`` only itself), a plural of capitals too (``LLMs``). A part of a single
    letter says nothing and is left out, so ``C++`` does not give C. An English possessive is
    replaced by its owner (``Einstein's`` by Einstein). Needs the case of the original, so it
    belongs before ``lowercase``. Words of more than 64 characters have no parts.
    """
    if token.endswith(_POSSESSIVES):
        token = token[:-2]
    if _is_plain(token) or len(token) > LONGEST_IDENTIFIER:
        return [token]
    parts = [token[match.start() : match.end()] for match in _PART.finditer(_shape(token))]
    return [token, *(part for part in parts if part != token and _says_something(part))]


def _is_plain(token: str) -> bool:
    tail = token[1:]
    return token.isalpha() and tail == tail.lower()


def _shape(token: str) -> str:
    # One ASCII character for each of the token's, so that one pattern serves every alphabet.
    return token.translate(_ASCII_SHAPES) if token.isascii() else "".join(map(_kind, token))


def _kind(character: str) -> str:
    if character in _SEPARATORS:
        return character
    if character == "s":
        return "s"  # of its own, for the plural of capitals
    if character.isdecimal():
        return "9"
    return "A" if character.isupper() else "a"


def _says_something(part: str) -> bool:
    return len(part) > 1 or part.isdecimal()


_ASCII_SHAPES = {code: _kind(chr(code)) for code in range(128)}

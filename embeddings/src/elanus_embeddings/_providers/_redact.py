"""Taking an API key out of what a server said, in whatever way it wrote the key."""

from __future__ import annotations

import base64
import html
import re
import string
import sys

from elanus.arguments import is_unseen

REDACTED = "[API key]"

# A piece of a key that is shorter is no secret: a server may show the first letters of one.
_SHORTEST_PIECE = 8

# A page of HTML in JSON, with a percent-encoded link, has three levels.
_LEVELS = 4

# Ways to write one character: in a URL, in HTML, in JSON or in programming languages.
_WRITTEN = re.compile(
    r"%(?P<url>[0-9a-fA-F]{2})"
    # As browsers read it: a number may do without its semicolon, and so may four of the names.
    r"|&(?:#[xX]0*(?P<hex>[0-9a-fA-F]{1,6})|#0*(?P<dec>[0-9]{1,7}));?"
    r"|(?P<name>&(?:[a-zA-Z]{2,31};|amp|lt|gt|quot|AMP|LT|GT|QUOT))"
    r"|[\\%]u(?P<u>[0-9a-fA-F]{4})|\\x(?P<x>[0-9a-fA-F]{2})|\\U00(?P<U>[0-9a-fA-F]{6})"
    r"|\\u\{0*(?P<braced>[0-9a-fA-F]{1,6})\}|\\(?P<octal>[0-3][0-7]{2})"
    r"|\\(?P<plain>[\\\"'/])|(?P<blank>\\[nrt])|.",
    re.DOTALL,
)
# A reference without a semicolon to a visible character of ASCII, and digits of the text perhaps.
_OPEN = re.compile(
    r"&#(?:[xX]0*(?P<hex>[2-7][0-9a-fA-F])(?=[0-9a-fA-F]*$)"
    r"|0*(?P<dec>3[3-9]|[4-9][0-9]|1[01][0-9]|12[0-6])(?=[0-9]*$))"
)
_BLANK = re.compile(r"\\[nrt]")
_SMALL = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_HEXADECIMAL = ("url", "hex", "u", "x", "U", "braced")

# A character, and where it was written.
_Letter = tuple[str, int, int]


def redact(text: str, key: str) -> str:
    """A text without a key, and without any longer piece of it.

    It is found as it is, percent-encoded, escaped for HTML, JSON or Python, up to four of these on
    top of each other, in base64 or hexadecimal, and with white space or invisible letters in it;
    in large or small letters, unless it is so short that it may be a word.
    """
    size = min(_SHORTEST_PIECE, len(key))
    forms = {_folded(form, size) for form in _forms(key)}
    pieces = {form[i : i + size] for form in forms for i in range(len(form) - size + 1)}
    hidden = bytearray(len(text))
    letters = _letters(text)
    # An escape that an escaped line break cuts in two is one again without the break.
    for decoded in (letters, _in_one_line(_in_one_line(letters))):
        _hide_decoded(decoded, pieces, size, hidden)
    return _without(text, hidden)


def _forms(key: str) -> set[str]:
    """The key, what is left of it when it is taken for something encoded, and its encodings."""
    if len(key) < _SHORTEST_PIECE:
        return {key}
    found, letters = {key}, _letters(key)
    for _ in range(_LEVELS):
        letters = _decoded(letters)
        found.add("".join(letter for letter, _, _ in letters))
    content = key.encode()
    for shift, start in enumerate((0, 2, 3)):
        # The bytes before a key, as those of "Bearer ", decide how it is cut into threes. What
        # depends on its neighbours too is left out.
        end = -4 if (shift + len(content)) % 3 else None
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(bytes(shift) + content).decode()[start:end])
    return found | {content.hex()}


def _folded(text: str, size: int) -> str:
    """A text in small letters, each in its place, if whole pieces of a key are looked for."""
    return text.translate(_SMALL) if size == _SHORTEST_PIECE else text


def _letters(text: str) -> list[_Letter]:
    return [(letter, i, i + 1) for i, letter in enumerate(text) if not is_unseen(letter)]


def _in_one_line(letters: list[_Letter]) -> list[_Letter]:
    """The letters without escaped white space."""
    text = "".join(letter for letter, _, _ in letters)
    ends = [0, *(match.end() for match in _BLANK.finditer(text))]
    starts = [*(match.start() for match in _BLANK.finditer(text)), len(text)]
    return [each for end, start in zip(ends, starts, strict=True) for each in letters[end:start]]


def _decoded(letters: list[_Letter]) -> list[_Letter]:
    """The letters after one level of decoding, without white space."""
    text = "".join(letter for letter, _, _ in letters)
    found = []
    for match in _WRITTEN.finditer(text):
        letter, start, end = _letter(match), *match.span()
        # What is unseen stands between letters of a key; any other letter is of none.
        is_other = letter == "\0" or letter > "~"
        if is_other and (short := _OPEN.match(text, start, end)):
            letter, end = chr(int(short["dec"] or int(short["hex"], 16))), short.end()
        if letter:
            found.append((letter, letters[start][1], letters[end - 1][2]))
        found += letters[end : match.end()]
    return found


def _letter(match: re.Match[str]) -> str:
    """What one match stands for; nothing for what is not seen."""
    code = next(filter(None, map(match.group, _HEXADECIMAL)), None)
    number = int(code, 16) if code else int(match["dec"] or -1)
    number = int(match["octal"], 8) if match["octal"] else number
    if (match["url"] or match["x"] or match["octal"]) and number > 0x7F:
        return ""  # a byte of what is no ASCII, as an invisible letter may be; keys are
    if 0 <= number <= sys.maxunicode:
        letter = chr(number)
    elif match["name"]:
        letter = html.unescape(match[0])
    elif match["blank"]:
        letter = ""
    else:
        letter = match["plain"] or match[0]
    # What is longer, as an entity that does not exist, is no letter of a key.
    if len(letter) != 1:
        return letter and "\0"
    return "" if is_unseen(letter) else letter


def _hide_decoded(letters: list[_Letter], pieces: set[str], size: int, hidden: bytearray) -> None:
    """Mark every place where a piece of the key is written, at every level of decoding."""
    for _ in range(_LEVELS + 1):
        _hide(letters, pieces, size, hidden)
        decoded = _decoded(letters)
        if len(decoded) == len(letters):
            break
        letters = decoded


def _hide(letters: list[_Letter], pieces: set[str], size: int, hidden: bytearray) -> None:
    """Mark every place where a piece of the key is written."""
    text = _folded("".join(letter for letter, _, _ in letters), size)
    for i in range(len(text) - size + 1):
        if text[i : i + size] in pieces:
            start, end = letters[i][1], letters[i + size - 1][2]
            hidden[start:end] = b"\1" * (end - start)


def _without(text: str, hidden: bytearray) -> str:
    parts, end = [], 0
    for match in re.finditer(b"\1+", hidden):
        parts += [text[end : match.start()], REDACTED]
        end = match.end()
    return "".join([*parts, text[end:]])

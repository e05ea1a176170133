"""Reading of ``analyzer_params``: names and types checked, nothing ignored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, overload

from elanus.errors import ParamError, likely, listed, quoted

T = TypeVar("T")
_REQUIRED: Any = object()
_BOUND = 2**63  # JSON and messages hold no integers of any size


class Options:
    """The options of one tokenizer or filter, taken out one by one.

    Args:
        owner: what they belong to, for messages (``"filter 'length'"``).
        given: the options as the user wrote them.
    """

    def __init__(self, owner: str, given: Mapping[str, Any]) -> None:
        self.owner = owner
        self._left = dict(given)
        self._known: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self._left

    @overload
    def take(self, key: str, kind: type[T]) -> T: ...
    @overload
    def take(self, key: str, kind: type[T], default: T) -> T: ...
    def take(self, key: str, kind: type[T], default: T = _REQUIRED) -> T:
        """The option `key`, which must be of type `kind`.

        Raises:
            ParamError: it is missing and has no default, or it is of another type.
        """
        self._known.append(key)
        value = self._left.pop(key, default)
        if value is _REQUIRED:
            raise ParamError(f"analyzer: {self.owner} needs the option {quoted(key)}")
        # bool is an int to Python, and never what a length is meant to be.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ParamError(
                f"analyzer: option {quoted(key)} of {self.owner} must be of type {kind.__name__}, "
                f"got {quoted(value)}"
            )
        if isinstance(value, int) and not -_BOUND < value < _BOUND:
            raise ParamError(
                f"analyzer: option {quoted(key)} of {self.owner} must fit in 64 bits, got "
                f"{quoted(value)}"
            )
        return value

    def take_words(self, key: str) -> list[str]:
        """The option `key`, a list of words or one word; empty if missing.

        Raises:
            ParamError: it is something else.
        """
        self._known.append(key)
        value = self._left.pop(key, [])
        words = [value] if isinstance(value, str) else value
        if not isinstance(words, (list, tuple, set, frozenset)) or not all(
            isinstance(word, str) for word in words
        ):
            raise ParamError(
                f"analyzer: option {quoted(key)} of {self.owner} must be a list of strings, "
                f"got {quoted(value)}"
            )
        return list(words)

    def finish(self) -> None:
        """Refuse what nobody has taken.

        Raises:
            ParamError: an option is left over.
        """
        for key in self._left:
            raise unknown(f"option of {self.owner}", key, self._known)


def unknown(what: str, name: object, known: Iterable[str]) -> ParamError:
    """The error for a name that does not exist, with those that do."""
    names = listed(map(repr, sorted(known))) or "none"
    return ParamError(
        f"analyzer: unknown {what}: {quoted(name)}; known: {names}{likely(name, known)}"
    )

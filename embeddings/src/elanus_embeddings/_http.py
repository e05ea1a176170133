"""What a provider reached by HTTP is called with, and how it fails; the library comes later.

This module needs no optional package, so that the errors can be caught, and the classes imported,
whether or not the extra ``http`` is installed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from elanus.errors import EmbeddingError, ParamError, cut, quoted, shown
from elanus_embeddings._texts import positive

# A year; the operating system's own limit for a timeout differs.
_LONGEST = 365 * 86_400


class EmbeddingRequestError(EmbeddingError, RuntimeError):
    """A provider of embeddings or of rerankings refused, failed, or answered nonsense.

    The message names the provider, its status and its own words, and the texts in question; an API
    key in them is replaced.

    Attributes:
        status: the HTTP status, or None if there was no answer at all.
        transient: whether the same request may succeed later.
        retry_after: seconds that the server asks to wait, or None.
    """

    def __init__(
        self,
        message: str = "",
        places: Sequence[int] = (),
        fault: int | None = None,
        name: str = "texts",
        *,
        status: int | None = None,
        transient: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, places, fault, name)
        self.status = status
        self.transient = transient
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed request is sent again: after 408, 429, 5xx, a timeout or a lost connection.

    The wait doubles from one attempt to the next and is drawn at random up to that bound ("full
    jitter"), so that clients which failed together do not return together. A ``Retry-After`` of
    the server is obeyed instead, to the second; if it exceeds ``longest_wait``, the request fails
    at once.

    Attributes:
        attempts: requests at most, the first one included; at least 1.
        first_wait: bound of the first wait, in seconds.
        longest_wait: bound of every wait, in seconds.

    Raises:
        ParamError: a value is out of its range.
    """

    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 60.0

    def __post_init__(self) -> None:
        positive("RetryPolicy: attempts", self.attempts)
        for what in ("first_wait", "longest_wait"):
            seconds(f"RetryPolicy: {what}", getattr(self, what), zero=True)


class Secret:
    """A string that shows itself only when asked."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the string."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('…')"


def find_key(given: str | None, variables: tuple[str, ...], *, read: bool) -> Secret | None:
    """Return the API key: the one given, or the first of the environment variables that is set.

    Args:
        given: the argument ``api_key``.
        variables: where the provider's users keep their key.
        read: whether the environment may be read.

    Returns:
        The key, or None if there is none.

    Raises:
        ParamError: the key cannot be sent in a header. The message does not show it.
    """
    if given is not None and not isinstance(given, str):
        raise ParamError(f"api_key must be a string or None, not {cut(type(given).__name__)}")
    value = given
    if value is None and read:
        value = next((os.environ[name] for name in variables if os.environ.get(name)), None)
    # A key that was read from a file ends in a line feed.
    value = (value or "").strip()
    if not value:
        return None
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise ParamError("api_key holds a character that cannot be in a key (it is not shown here)")
    return Secret(value)


def checked_url(url: object) -> str:
    """Check a base URL, and return it without a slash at its end.

    Raises:
        ParamError: it is no http(s) URL, or carries more than scheme, host, port and path.
    """
    if not isinstance(url, str):
        raise ParamError(f"base_url must be a string, not {cut(type(url).__name__)}")
    # Anything after these signs may be a secret, so that such a URL is not quoted.
    safe = not set("@?#") & set(url)
    if not _is_http(url):
        named = f" {quoted(url)}" if safe else ""
        raise ParamError(f"base_url{named} must look like https://host[:port][/path]")
    if not safe:
        raise ParamError(
            "base_url must have no user, query or fragment; give the key as api_key (the URL is "
            "not shown here, since it may hold one)"
        )
    return url.rstrip("/")


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return host and parts.scheme in {"http", "https"} and url.isprintable() and " " not in url


def seconds(what: str, value: Any, *, zero: bool = False) -> float:
    """Check that a value is a finite time.

    Raises:
        ParamError: it is not.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and (0 < value < _LONGEST or (value == 0 and zero)):
        return float(value)
    raise ParamError(f"{what} must be a positive number of seconds, got {shown(value)}")

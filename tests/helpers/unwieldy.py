"""Values that are hard to show in a message, and what is asked of whoever shows them."""

from contextlib import contextmanager

import pytest

MEGA = "x" * 1_000_000
LONGEST = 2_000  # letters of a message that shows a few values


class Failing:
    def __repr__(self):
        raise RecursionError


class Long:
    def __repr__(self):
        return MEGA


class Mute(Exception):
    """As a client library's error whose text needs what a subclass lost."""

    def __str__(self):
        return f"status {self.response.status}"


class Muter(Mute):
    def __repr__(self):
        return str(self)


def endless():
    found = {}
    found["again"] = [found, MEGA]
    return found


VALUES = {
    "text": MEGA,
    "list": [MEGA] * 3,
    "number": -(10**5_000),
    "repr raises": Failing(),
    "repr in a list": [Failing()],
    "long repr": Long(),
    "endless": endless(),
    "long type": type("T" * 1_000_000, (), {})(),
}


@contextmanager
def raises_short(error, match=None):
    """Like ``pytest.raises``; the message must be short, too."""
    with pytest.raises(error, match=match) as caught:
        yield caught
    assert len(str(caught.value)) < LONGEST


def assert_shown_short(shown):
    """Objects name their class, and show only part of what they hold."""
    for each in shown:
        assert repr(each).startswith(type(each).__name__)
        assert len(repr(each)) < LONGEST
        assert len(str(each)) < LONGEST

"""Values that are hard to show in a message."""

MEGA = "x" * 1_000_000
LONGEST = 2_000  # letters of a message that shows a few values


class Failing:
    def __repr__(self):
        raise RecursionError


class Long:
    def __repr__(self):
        return MEGA


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

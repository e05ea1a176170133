"""How thoroughly the property tests look, and what arguments may be by mistake.

HYPOTHESIS_PROFILE is default, ci or nightly.
"""

import math
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from elanus import ElanusError

_LONGEST_MESSAGE = 2_000

# The machines that run the tests are shared: how long one example takes says nothing.
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("default", deadline=None, suppress_health_check=_SLOW)
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True)
settings.register_profile("nightly", parent=settings.get_profile("default"), max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


class _NoRepr:
    def __repr__(self):
        raise RuntimeError


class _NoTruth:
    def __bool__(self):
        raise RuntimeError

    def __eq__(self, other):
        raise RuntimeError

    __hash__ = None


def _endless_list():
    found = [1]
    found.append(found)
    return found


def _endless_array():
    found = np.empty((), dtype=object)
    found[()] = found
    return found


@pytest.fixture
def nasty():
    """What an argument may be by mistake, by name; each is made anew when it is called."""
    return {
        "False": lambda: False,
        "text false": lambda: "false",
        "0": lambda: 0,
        "-1": lambda: -1,
        "half": lambda: 1.5,
        "nan": lambda: math.nan,
        "inf": lambda: math.inf,
        "10**400": lambda: 10**400,
        "10**5000": lambda: 10**5000,
        "numpy int": lambda: np.int64(3),
        "numpy bool": lambda: np.True_,
        "span": lambda: np.timedelta64(1, "s"),
        "complex": lambda: 1j,
        "text": lambda: "id",
        "empty text": str,
        "surrogate": lambda: "a\ud800",
        "long text": lambda: "x" * 1_000_000,
        "bytes": lambda: b"id",
        "list": lambda: [1, 2],
        "empty list": list,
        "list of None": lambda: [None],
        "list of no truth": lambda: [_NoTruth()],
        "dict": lambda: {"id": 1},
        "empty dict": dict,
        "set": lambda: {1, 2},
        "endless list": _endless_list,
        "endless array": _endless_array,
        "array": lambda: np.array([1.0, 2.0]),
        "0-d array": lambda: np.array(1),
        "array of texts": lambda: np.array(["id"]),
        "masked": lambda: np.ma.array([1.0, 2.0], mask=[0, 1]),
        "masked constant": lambda: np.ma.masked,
        "structured": lambda: np.zeros(2, dtype=[("a", "i4")]),
        "object": object,
        "class": lambda: int,
        "no repr": _NoRepr,
        "no truth": _NoTruth,
    }


@pytest.fixture
def refusals(nasty):
    """Call a function with each argument replaced in turn, and say what was no error of ours.

    ``allowed`` are the frameworks' own errors.
    """

    def check(call, arguments, allowed=()):
        wrong = {}
        for name in arguments:
            for kind, make in nasty.items():
                try:
                    call(**{**arguments, name: make()})
                except ElanusError as error:
                    if len(str(error)) > _LONGEST_MESSAGE:
                        wrong[name, kind] = f"{len(str(error))} characters"
                except allowed:
                    pass
                except Exception as error:  # noqa: BLE001  # all are listed
                    wrong[name, kind] = f"{type(error).__name__}: {str(error)[:100]}"
        return wrong

    return check

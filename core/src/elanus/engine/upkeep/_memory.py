"""Giving memory back to the system."""

from __future__ import annotations

import ctypes
from contextlib import suppress


def return_free_memory() -> None:
    """Have the C library give back to the system what is free between blocks in use.

    glibc does so at the end of its heap only: after a large insert, and after what is done here,
    that is a sixth of the process. It takes milliseconds. Other libraries have no such function.
    """
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)

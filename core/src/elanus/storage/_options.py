"""How a database file is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from elanus.schema import choice, flag, seconds

SYNCHRONOUS: Final = {"full": "FULL", "normal": "NORMAL"}
_JOURNALS: Final = ("wal", "delete")


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """How a file is opened.

    Attributes:
        read_only: nothing is ever written.
        durability: ``"full"``: an acknowledged write is on disk, also after a power cut.
            ``"normal"``: it survives the process, but a power cut may take the last ones.
        timeout: seconds that a writer waits for another, at most 2,000,000.
        journal: ``"wal"``; ``"delete"`` where shared memory is missing (network file systems).

    Raises:
        ParamError: naming the option that is wrong.
    """

    read_only: bool = False
    durability: str = "full"
    timeout: float = 30.0
    journal: str = "wal"

    def __post_init__(self) -> None:
        plain = {
            "read_only": flag("read_only", self.read_only),
            "durability": choice("durability", self.durability, SYNCHRONOUS),
            "timeout": seconds("timeout", self.timeout),
            "journal": choice("journal", self.journal, _JOURNALS),
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)

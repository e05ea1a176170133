"""How a database file is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from elanus.errors import ParamError

SYNCHRONOUS: Final = {"full": "FULL", "normal": "NORMAL"}
_JOURNALS: Final = ("wal", "delete")


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """How a file is opened.

    Attributes:
        read_only: nothing is ever written.
        durability: ``"full"``: an acknowledged write is on disk, also after a power cut.
            ``"normal"``: it survives the process, but a power cut may take the last ones.
        timeout: seconds that a writer waits for another.
        journal: ``"wal"``; ``"delete"`` where shared memory is missing (network file systems).
    """

    read_only: bool = False
    durability: str = "full"
    timeout: float = 30.0
    journal: str = "wal"

    def __post_init__(self) -> None:
        if self.durability not in SYNCHRONOUS:
            raise ParamError(f"durability must be 'full' or 'normal', got {self.durability!r}")
        if self.journal not in _JOURNALS:
            raise ParamError(f"journal must be 'wal' or 'delete', got {self.journal!r}")
        if not isinstance(self.read_only, bool):
            raise ParamError(f"read_only must be True or False, got {self.read_only!r}")
        if not self.timeout >= 0:
            raise ParamError(f"timeout must be a number of seconds, got {self.timeout!r}")

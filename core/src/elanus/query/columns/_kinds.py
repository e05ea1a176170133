"""What a field declares, and what a slot of a column holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final


class ValueType(IntEnum):
    """The type of one value in a column; everything up to ``NULL`` has no value.

    Arrays are compared with the number (``.value``). Given a member, numpy asks its class for
    attributes, which runs code of Python; and what a signal handler raises there, numpy drops.
    """

    MISSING = 0
    NULL = 1
    BOOL = 2
    INT = 3
    FLOAT = 4
    STRING = 5
    ARRAY = 6
    OBJECT = 7


class FieldType(Enum):
    """The type that a schema declares, as far as filters tell types apart."""

    BOOL = "BOOL"
    INT = "INT"
    FLOAT32 = "FLOAT"
    DOUBLE = "DOUBLE"
    STRING = "VARCHAR"
    JSON = "JSON"
    ARRAY = "ARRAY"
    VECTOR = "VECTOR"


@dataclass(frozen=True, slots=True)
class FieldKind:
    """A field as filters see it.

    Attributes:
        type: the declared type; all widths of integers are ``INT``.
        element: type of the elements of an ``ARRAY``, otherwise None.
        analysed: whether ``text_match`` and ``phrase_match`` may search the field.
    """

    type: FieldType
    element: FieldType | None = None
    analysed: bool = False

    def __str__(self) -> str:
        return f"ARRAY of {self.element.value}" if self.element else self.type.value


class _Missing(Enum):
    MISSING = "MISSING"


MISSING: Final = _Missing.MISSING
"""What ``extract_path`` gives for a document without the path (JSON's null is None)."""

# The one type of a column of that field type, as long as no slot is empty.
NATURAL_TYPES: Final = {
    FieldType.BOOL: ValueType.BOOL,
    FieldType.INT: ValueType.INT,
    FieldType.FLOAT32: ValueType.FLOAT,
    FieldType.DOUBLE: ValueType.FLOAT,
    FieldType.STRING: ValueType.STRING,
    FieldType.JSON: ValueType.MISSING,
    FieldType.ARRAY: ValueType.ARRAY,
}

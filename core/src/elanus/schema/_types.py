"""Enumerations of Milvus's client API, equal in names and numbers to pymilvus's."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Any, TypeVar

from elanus.errors import DataTypeNotSupportException, ParamError, likely, quoted
from elanus.schema._arguments import is_whole, word

E = TypeVar("E", bound=IntEnum)


def member_of(kind: type[E], value: Any) -> E | None:
    """The member that has the number of ``value``, be it ours, pymilvus's or plain; or None."""
    found = [member for member in kind if is_whole(value) and member == value]
    return found[0] if found else None


class DataType(IntEnum):
    """Data types of fields, with Milvus's numbers. Not all of them can be stored here yet."""

    NONE = 0
    BOOL = 1
    INT8 = 2
    INT16 = 3
    INT32 = 4
    INT64 = 5
    FLOAT = 10
    DOUBLE = 11
    STRING = 20
    VARCHAR = 21
    ARRAY = 22
    JSON = 23
    GEOMETRY = 24
    TEXT = 25
    TIMESTAMPTZ = 26
    BINARY_VECTOR = 100
    FLOAT_VECTOR = 101
    FLOAT16_VECTOR = 102
    BFLOAT16_VECTOR = 103
    SPARSE_FLOAT_VECTOR = 104
    INT8_VECTOR = 105
    STRUCT = 201
    UNKNOWN = 999

    def __str__(self) -> str:
        # Python 3.10 would give the name; pymilvus's users see the number.
        return str(self.value)

    @classmethod
    def of(cls, value: object) -> DataType:
        """The type that ``value`` (ours, pymilvus's or a number) stands for.

        Raises:
            DataTypeNotSupportException: if there is no such type, or it cannot be stored.
        """
        found = member_of(cls, value)
        if found is None:
            raise DataTypeNotSupportException(
                f"{quoted(value)} is no data type; use a member of DataType"
            )
        if found not in STORED_TYPES:
            names = ", ".join(t.name for t in STORED_TYPES)
            raise DataTypeNotSupportException(
                f"DataType.{found.name} cannot be stored; supported: {names}"
            )
        return found


INTEGER_BITS = {DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64}
INTEGER_TYPES = frozenset(INTEGER_BITS)
FLOAT_TYPES = frozenset({DataType.FLOAT, DataType.DOUBLE})
VECTOR_TYPES = frozenset({DataType.FLOAT_VECTOR, DataType.SPARSE_FLOAT_VECTOR})
ELEMENT_TYPES = INTEGER_TYPES | FLOAT_TYPES | {DataType.BOOL, DataType.VARCHAR}
STORED_TYPES = (
    DataType.BOOL,
    *INTEGER_BITS,
    DataType.FLOAT,
    DataType.DOUBLE,
    DataType.VARCHAR,
    DataType.JSON,
    DataType.ARRAY,
    DataType.FLOAT_VECTOR,
    DataType.SPARSE_FLOAT_VECTOR,
)


class FunctionType(IntEnum):
    """Kinds of functions that a schema may hold."""

    UNKNOWN = 0
    BM25 = 1
    TEXTEMBEDDING = 2
    RERANK = 3
    MINHASH = 4


class LoadState(IntEnum):
    """Whether a collection is in memory."""

    NotExist = 0
    NotLoad = 1
    Loading = 2
    Loaded = 3

    def __repr__(self) -> str:
        return f"<LoadState: {self.name}>"

    def __str__(self) -> str:
        return self.name


class Metric(str, Enum):
    """How two vectors are compared.

    COSINE, IP (inner product) and BM25: larger is better. L2: the *squared* Euclidean distance,
    smaller is better.

    Attributes:
        higher_is_better: whether a larger value means a nearer vector.
    """

    higher_is_better: bool

    COSINE = "COSINE"
    IP = "IP"
    L2 = "L2"
    BM25 = "BM25"

    def __init__(self, name: str) -> None:
        self.higher_is_better = name != "L2"

    @classmethod
    def of(cls, value: object) -> Metric:
        """The metric of a name in any case.

        Raises:
            ParamError: if there is no such metric.
        """
        name = (word(value) or "").upper()
        if name not in cls.__members__:
            names = ", ".join(cls.__members__)
            raise ParamError(
                f"unknown metric_type {quoted(value)}; known: {names}"
                f"{likely(name, cls.__members__)}"
            )
        return cls[name]


class IndexType(str, Enum):
    """What stands on a field. Users write the names; here they are members.

    Attributes:
        package: the module that has to be installed besides; empty if none has.
    """

    package: str

    AUTOINDEX = "AUTOINDEX"
    FLAT = "FLAT"
    HNSW = "HNSW"
    IVF_FLAT = "IVF_FLAT"
    IVF_SQ8 = "IVF_SQ8"
    IVF_PQ = "IVF_PQ"
    SCANN = "SCANN"
    SPARSE_INVERTED_INDEX = "SPARSE_INVERTED_INDEX"
    SPARSE_WAND = "SPARSE_WAND"
    INVERTED = "INVERTED"
    STL_SORT = "STL_SORT"
    TRIE = "TRIE"
    BITMAP = "BITMAP"

    def __init__(self, name: str) -> None:
        is_of_lists = name in ("IVF_FLAT", "IVF_SQ8", "IVF_PQ", "SCANN")
        self.package = "faiss" if is_of_lists else "hnswlib" if name == "HNSW" else ""

"""Every error that Elanus raises, and what each one lets a caller catch.

    ElanusError (= MilvusException: has .code and .message)
    ├── ParamError (ValueError)                  an argument is wrong
    │   ├── FilterError                          a filter does not parse or fit the schema
    │   └── UnsupportedError (NotImplementedError)  a feature of Milvus not here
    ├── SchemaError (ValueError)                 it contradicts itself  (= SchemaNotReadyException)
    │   ├── PrimaryKeyException                  … about its primary key
    │   └── DataTypeNotSupportException          … about a data type
    ├── DataNotMatchException (ValueError)       a row does not fit the schema
    ├── CollectionNotFoundError (KeyError)       (= CollectionNotExistException)
    ├── CollectionExistsError (ValueError)
    ├── IndexNotFoundError (KeyError)            (= IndexNotExistException)
    ├── EmbeddingMismatchError (ValueError)      a file was written with another embedding model
    ├── EmbeddingError                           an embedding function failed at some texts
    ├── RerankError                              a reranker failed; has the hits as they were
    ├── MissingExtraError (ImportError)          an optional package is not installed
    └── StorageError (OSError)                   the file cannot do what was asked
        ├── DatabaseNotFoundError (FileNotFoundError)
        ├── DatabaseFormatError                  not an Elanus file, or of a newer format
        ├── DatabaseCorruptError                 truncated or damaged
        ├── DatabaseLockedError (TimeoutError)   another writer held the lock too long
        ├── DatabaseFullError                    the disk is full
        ├── DatabaseReplacedError                the file was replaced or deleted while open
        ├── ReadOnlyError (PermissionError)      a write to a read-only handle or medium
        └── ClosedError                          it is closed  (= ConnectionNotExistException)
            └── ForkedHandleError                the handle was opened before a fork

Warnings, so that they can be told from those of others:

    ElanusWarning (UserWarning)
    └── UnknownKeyWarning                        a call asks for a key that no document has

The names on the right of ``=`` are those that pymilvus users catch already; they are the same
classes, so a change of import is enough. Codes are Milvus's where Milvus has one.

``quoted``, ``shown``, ``listed`` and ``cut`` put a caller's value into a message: short whatever
it is, and never an error of its own; ``said_by`` does so for what somebody else's error says.
``likely`` adds the name that was meant instead of an unknown one.
"""

# ruff: noqa: PLC0414  # the alias marks a name that is meant for those who import this module

from __future__ import annotations

import errno
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from operator import index
from typing import Any

from elanus._shown import closest as closest
from elanus._shown import cut as cut
from elanus._shown import encodable
from elanus._shown import likely as likely
from elanus._shown import listed as listed
from elanus._shown import quoted as quoted
from elanus._shown import said_by as said_by
from elanus._shown import shown as shown

_OWN = re.compile(
    r"(elanus|elanus_embeddings|langchain_elanus|llama_index\.vector_stores\.elanus)(\.|$)"
)
_LONGEST_REASON = 1_000
_HALF = re.compile("[\ud800-\udfff]")


class ErrorCode(IntEnum):
    """Milvus's error codes, as far as client code looks at them."""

    SUCCESS = 0
    UNEXPECTED_ERROR = 1
    COLLECTION_NOT_FOUND = 100
    COLLECTION_NOT_LOADED = 101
    INDEX_NOT_FOUND = 700
    DATABASE_NOT_FOUND = 800
    INVALID_PARAMETER = 1100


class ElanusError(Exception):
    """Base of every error; ``code`` and ``message`` as in pymilvus's ``MilvusException``.

    The message comes first, as in other Python exceptions; pymilvus's form
    ``MilvusException(code=…, message=…)`` works too.
    """

    default_code: int = ErrorCode.UNEXPECTED_ERROR

    def __init__(self, message: str = "", code: int | None = None) -> None:
        if isinstance(message, str):
            message = encodable(message)  # it may hold the path of a file
        super().__init__(message)
        self._message = message
        self._code = int(self.default_code if code is None else code)

    @property
    def code(self) -> int:
        """Milvus's numeric code of the error."""
        return self._code

    @property
    def message(self) -> str:
        """What happened, to what, and what to do."""
        return self._message

    def __str__(self) -> str:
        # KeyError would show the message in quotes.
        return self._message


MilvusException = ElanusError


class ParamError(ElanusError, ValueError):
    """An argument has a wrong name, type or value."""

    default_code = ErrorCode.INVALID_PARAMETER


class FilterError(ParamError):
    """A filter expression does not parse, or does not fit the schema.

    Attributes:
        expression: the filter as given.
        position: offset of the offending character, or None if the whole is meant.
    """

    def __init__(self, reason: str, expression: str = "", position: int | None = None) -> None:
        self.expression = expression
        self.position = position
        super().__init__(_point_at(reason, expression, position))


def _point_at(reason: str, expression: str, position: int | None) -> str:
    # A long filter (an `in` list of thousands) is shown around the place only.
    if position is None:
        return f"filter {quoted(expression)}: {reason}" if expression else reason
    start, end = max(0, position - 60), position + 40
    around = expression[start:end].replace("\n", " ").replace("\t", " ")
    # One letter for one, or the mark below would stand elsewhere.
    around = _HALF.sub("\N{REPLACEMENT CHARACTER}", around)
    return f"filter, at position {position}: {reason}\n  {around}\n  {' ' * (position - start)}^"


class UnsupportedError(ParamError, NotImplementedError):
    """A feature of Milvus that this engine does not have; the message names it."""


class SchemaError(ElanusError, ValueError):
    """A schema contradicts itself."""

    default_code = ErrorCode.INVALID_PARAMETER


class PrimaryKeyException(SchemaError):
    """The primary key of a schema is missing, doubled or of a wrong type."""


class DataTypeNotSupportException(SchemaError):
    """A data type that does not exist, or does not exist here."""


class DataNotMatchException(ElanusError, ValueError):
    """A row does not fit the schema; the message names row, field, value and rule."""

    default_code = ErrorCode.INVALID_PARAMETER


class CollectionNotFoundError(ElanusError, KeyError):
    """No collection of that name."""

    default_code = ErrorCode.COLLECTION_NOT_FOUND


class CollectionExistsError(ElanusError, ValueError):
    """A collection of that name exists, and is another one."""

    default_code = ErrorCode.INVALID_PARAMETER


class IndexNotFoundError(ElanusError, KeyError):
    """No index of that name."""

    default_code = ErrorCode.INDEX_NOT_FOUND


class EmbeddingMismatchError(ElanusError, ValueError):
    """The file holds vectors of another embedding model than the one given."""


class EmbeddingError(ElanusError):
    """An embedding function failed; says at which of the texts that were given to it.

    Args:
        message: what happened. ``{texts}`` in it stands for the texts it is about, as
            ``texts[0:96]``, and ``{text}`` for the one at fault, as ``texts[17]``.
        places: the places of the texts it is about, in the list given.
        fault: which of ``places`` is the one at fault, counted from 0; None if that is not known.
        name: what the list is called.

    Whoever hands a part of a longer list to a function calls ``renumber`` on its error. Places that
    a list does not have are left out, all of them: they must not hide what happened. A message of
    more than 1,000 characters is cut.

    Attributes:
        texts: the list that its places count in, where somebody between has kept it; else None.
        made: vectors of the first texts of the list given, as far as the function had come when it
            failed: a matrix of float32, or None. Whoever keeps them need not pay for them again.
    """

    texts: Sequence[str] | None = None
    made: Any = None

    def __init__(
        self,
        message: str = "",
        places: Sequence[int] = (),
        fault: int | None = None,
        name: str = "texts",
    ) -> None:
        super().__init__(message)
        self._template, self._name = cut(_as_text(message), _LONGEST_REASON), cut(_as_text(name))
        found, known = _as_places(places), _as_places((fault,))
        self._fault = known[0] if known and known[0] < len(found) else None
        self._say(found)

    @classmethod
    @contextmanager
    def around(cls, name: str, call: str, count: int = 0) -> Iterator[None]:
        """Tell what a function raises as an error of this class; what is one of ours stays.

        In the block belongs not only the call, but also the reading of what it gave: a generator
        does its work only then.

        Args:
            name: of the function.
            call: which of its methods is asked.
            count: how many documents it is given; 0 for queries, which are in no list.
        """
        try:
            yield
        except ElanusError:
            raise
        except Exception as error:  # a function is anybody's code
            given = " with {texts}" if count else ""
            raise cls(
                f"{quoted(name)}.{call} failed{given}: {_told(error)}", range(count)
            ) from error

    @property
    def places(self) -> tuple[int, ...]:
        """Places of the texts that it is about, in the caller's list."""
        return self._places

    @property
    def place(self) -> int | None:
        """Place of the text at fault in the caller's list; None if it is not known."""
        return None if self._fault is None else self._places[self._fault]

    def renumber(self, places: Sequence[int]) -> None:
        """Say it of a longer list, in which text i of the part has the place ``places[i]``."""
        self._say(tuple(places[i] for i in self._places) if self._are_in(places) else ())

    def blame(self, place: int, note: str) -> None:
        """Say which of ``places`` is at fault, and add a note; ``{text}`` in it stands for it."""
        self._fault = self._places.index(place) if place in self._places else self._fault
        self._template += cut(_as_text(note), _LONGEST_REASON)
        self._say(self._places)

    def name_ids(self, ids: Sequence[str | None]) -> None:
        """Say by their ids, too, which texts it is about.

        Args:
            ids: of all texts of the caller's list; None where one has none.
        """
        if not self._are_in(ids):
            self._say(())
            return
        if self.place is not None:
            named = ids[self.place]
            note = f"; the id of {{text}} is {quoted(named)}"
        else:
            known = [ids[place] for place in self._places if ids[place] is not None]
            named = known[0] if known else None
            note = f"; their ids: {listed(map(str, known), 3)}"
        if named is not None:
            self._template += note
            self._say(self._places)

    def _are_in(self, texts: Sequence[Any]) -> bool:
        return max(self._places, default=-1) < len(texts)

    def _say(self, places: tuple[int, ...]) -> None:
        self._places = places
        self._fault = self._fault if places else None
        text = self._name if self.place is None else f"{self._name}[{self.place}]"
        self._message = self._template.replace("{texts}", _listed(self._name, places))
        self._message = encodable(self._message.replace("{text}", text))
        self.args = (self._message,)


def _told(error: Exception) -> str:
    return f"{cut(type(error).__name__)}: {said_by(error)}"


def _as_text(given: Any) -> str:
    return given if isinstance(given, str) else quoted(given)


def _as_places(given: Iterable[Any]) -> tuple[int, ...]:
    """Places in a list; none at all if one of them cannot be any."""
    try:
        found = tuple(map(index, given))
    except Exception:  # noqa: BLE001  # an embedding function may give anything
        return ()
    return found if min(found, default=0) >= 0 else ()


def _listed(name: str, places: tuple[int, ...]) -> str:
    """Items of a list, by their places."""
    if not places:
        return name
    first, last = places[0], places[-1]
    if places == tuple(range(first, last + 1)):
        return f"{name}[{first}:{last + 1}]"
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return ", ".join(f"{name}[{place}]" for place in places[:3]) + more


class RerankError(ElanusError):
    """A reranker failed, or gave something else than scores; the message names it.

    Attributes:
        hits: what the reranker was given, in the order of the search: nothing is lost.
    """

    hits: Sequence[Any] = ()

    @classmethod
    def of(cls, reranker: Any, what: str, hits: Sequence[Any]) -> RerankError:
        """The error for what a reranker did with hits."""
        made = cls(f"reranker {quoted(reranker)} {what}")
        made.hits = hits
        return made

    @classmethod
    def failed(cls, reranker: Any, error: Exception, hits: Sequence[Any]) -> RerankError:
        """The error for a reranker's own one, be it raised while its answer is read."""
        return cls.of(reranker, f"failed with {len(hits)} texts: {_told(error)}", hits)


class MissingExtraError(ElanusError, ImportError):
    """An optional package is not installed; the message names the extra."""


class StorageError(ElanusError, OSError):
    """The database file cannot do what was asked."""


class DatabaseNotFoundError(StorageError, FileNotFoundError):
    """The file, or the folder that it should be in, does not exist."""


class DatabaseFormatError(StorageError):
    """The file is not an Elanus database, or of a newer format than this version reads."""


class DatabaseCorruptError(StorageError):
    """The file is truncated or damaged."""


class DatabaseLockedError(StorageError, TimeoutError):
    """Another writer held the file for longer than the timeout."""


class DatabaseFullError(StorageError):
    """The disk is full; the write was rolled back."""


class DatabaseReplacedError(StorageError):
    """The file was replaced or deleted while it was open."""


class ReadOnlyError(StorageError, PermissionError):
    """A write to a handle or a medium that is read-only."""


class ClosedError(StorageError):
    """The handle is closed."""


class ForkedHandleError(ClosedError):
    """The handle was opened before a fork; open the file again in the child."""


SchemaNotReadyException = SchemaError
CollectionNotExistException = CollectionNotFoundError
IndexNotExistException = IndexNotFoundError
ConnectionNotExistException = ClosedError


class ElanusWarning(UserWarning):
    """Base of every warning."""


class UnknownKeyWarning(ElanusWarning):
    """A call asks for a metadata key that no document has: it may be written wrongly."""


@contextmanager
def reading(owner: str, members: str) -> Iterator[None]:
    """Tell what a property raises as a ``ParamError``; what is one of our errors stays.

    Args:
        owner: the object, as it is shown.
        members: what is read of it.
    """
    try:
        yield
    except ElanusError:
        raise
    except Exception as error:  # a property is anybody's code
        raise ParamError(f"{owner}: its {members} cannot be read: {quoted(error)}") from error


@contextmanager
def loading(package: str, missing: str) -> Iterator[None]:
    """Tell as ours why a package cannot be loaded, or the files that it reads at first.

    Args:
        package: its name.
        missing: what is said if it is not installed; ``{error}`` in it stands for the error.

    Raises:
        MissingExtraError: if it is not installed.
        StorageError: if this process may open no more files.
    """
    try:
        yield
    except (ImportError, OSError) as error:
        # A library in C that cannot be opened is an ImportError, with the system's words in it.
        if any(os.strerror(code) in str(error) for code in (errno.EMFILE, errno.ENFILE)):
            raise StorageError(
                f"cannot load {package}: this process has too many files open; close some, or "
                "raise the limit (ulimit -n)"
            ) from error
        if isinstance(error, ImportError):
            raise MissingExtraError(missing.replace("{error}", said_by(error))) from error
        raise


def warn(warning: ElanusWarning) -> None:
    """Issue a warning at the line of the caller's that led to it."""
    level, frame = 1, sys._getframe()  # noqa: SLF001  # as warnings' own skip_file_prefixes do
    while frame.f_back and _OWN.match(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(warning, stacklevel=level)

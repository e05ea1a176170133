"""The documents of one source, made what they should be: what to write, and what is known of it.

A document belongs to a source by two plain keys of its metadata, ``source`` and ``position``. They
need no field of their own, so files made by any version have them, and filters, ``facets`` and
``delete`` know them like any other key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from elanus.client import MilvusClient
from elanus.documents._collection import FIELDS, ID, METADATA, TEXT, VECTOR
from elanus.documents._embed import Embedder
from elanus.documents._input import NewDocument, content_id
from elanus.documents.search._scope import make_scope
from elanus.errors import DataNotMatchException, ParamError, quoted, shown
from elanus.progress import ProgressBar
from elanus.schema import refuse, text

SOURCE, POSITION = "source", "position"

_READ_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What it took to make the documents of a source what they should be.

    Attributes:
        ids: of all documents of the source, in their order.
        written: documents that are new, or changed.
        unchanged: documents that were there already, and were not touched.
        deleted: documents that are gone.
        embedded: texts that the embedding function was given.
    """

    ids: list[str]
    written: int = 0
    unchanged: int = 0
    deleted: int = 0
    embedded: int = 0


def checked_source(source: Any) -> str:
    """The name of a source.

    Raises:
        ParamError: if it is no text, or an empty one.
    """
    plain = text("source", source)
    if not plain:
        refuse("source", "the name of a file, a page or the like", source)
    return plain


def rows_of(source: str, documents: Sequence[NewDocument]) -> list[dict[str, Any]]:
    """The rows of a source's documents: with ids, and with what says where they belong.

    An id that is not given follows from the source, the text, and how many documents before have
    the same text: so it stays when others come and go.

    Raises:
        DataNotMatchException: if metadata names another source or position, or an id is there
            twice.
    """
    rows: list[dict[str, Any]] = []
    times: dict[str, int] = {}
    places: dict[str, int] = {}
    for place, document in enumerate(documents):
        time = times[document.text] = times.get(document.text, -1) + 1
        made = content_id(source, document.text, time)
        key = made if document.id is None else document.id
        if places.setdefault(key, place) != place:
            raise DataNotMatchException(
                f"document {place}, id: {quoted(key)} is that of document {places[key]}, too"
            )
        metadata = _placed(source, place, document.metadata)
        rows.append({ID: key, TEXT: document.text, METADATA: metadata})
    return rows


def _placed(source: str, place: int, metadata: Mapping[str, Any]) -> dict[str, Any]:
    named = metadata.get(SOURCE, source)
    if named != source:
        raise DataNotMatchException(
            f"document {place}, metadata: {SOURCE!r} must be that of the call, {quoted(source)}; "
            f"got {shown(named)}"
        )
    # A document that was read from the store has a position, and its place may be another by now.
    position = metadata.get(POSITION, place)
    if type(position) is not int or (position != place and SOURCE not in metadata):
        raise DataNotMatchException(
            f"document {place}, metadata: {POSITION!r} is the place in the list, which sync "
            f"enters; got {shown(position)}: give that key another name"
        )
    return {**metadata, SOURCE: source, POSITION: place}


def without_stored(
    client: MilvusClient, collection: str, rows: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Those rows that are not stored just so already, each id once."""
    wanted = {row[ID]: row for row in rows}
    same = _same(wanted, client.get(collection, list(wanted), FIELDS))
    return [row for key, row in wanted.items() if key not in same]


def _same(wanted: Mapping[str, Mapping[str, Any]], stored: Iterable[Mapping[str, Any]]) -> set[str]:
    """Ids of the rows that are stored as they are wanted, vectors left aside."""
    found = ((row[ID], row) for row in stored)
    return {key for key, row in found if key in wanted and _written(row) == _written(wanted[key])}


def _written(row: Mapping[str, Any]) -> bytes:
    # As bytes: to Python 1, 1.0 and True are equal.
    return orjson.dumps([row[TEXT], row[METADATA]], option=orjson.OPT_SORT_KEYS)


class StoredSource:
    """The documents of a source as they are stored when a sync begins.

    Args:
        client: the client to ask.
        collection: name of the collection.
        source: name of the source.

    Attributes:
        filter: what selects them.
    """

    def __init__(self, client: MilvusClient, collection: str, source: str) -> None:
        scope = make_scope({SOURCE: source})
        # Nobody wrote this key wrongly: before the first sync no document may have it.
        self.filter = scope and replace(scope, expected=())
        self._source = source
        self._client = client
        self._collection = collection
        self._rows = client.query(collection, self.filter, FIELDS)

    def is_as(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Whether they are these, vectors left aside."""
        wanted = {row[ID]: row for row in rows}
        return len(rows) == len(self._rows) == len(_same(wanted, self._rows))

    def check_free(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Check that no id is that of a document which is not of this source.

        Raises:
            ParamError: naming the id, and whose it is.
        """
        ours = {row[ID] for row in self._rows}
        new = [row[ID] for row in rows if row[ID] not in ours]
        for other in self._client.get(self._collection, new, [METADATA]):
            whose = other[METADATA].get(SOURCE)
            if whose == self._source:
                continue  # another sync of this source has written it since
            raise ParamError(
                f"id {quoted(other[ID])} is that of a document of "
                f"{'no source' if whose is None else 'source ' + quoted(whose)}; delete it first, "
                "or give another id"
            )

    def vectors(self, texts: Collection[str]) -> dict[str, Any]:
        """The vectors of those texts that are stored with one."""
        ids = {row[TEXT]: row[ID] for row in self._rows if row[TEXT] in texts}
        keys, found = list(ids.values()), dict[str, Any]()
        for start in range(0, len(keys), _READ_AT_ONCE):
            part = keys[start : start + _READ_AT_ONCE]
            # With the text: it may have been replaced since it was first read.
            for row in self._client.get(self._collection, part, [TEXT, VECTOR]):
                found[row[TEXT]] = row[VECTOR]
        return found


def embedded(embedder: Embedder, texts: Mapping[str, int], *, progress: bool) -> dict[str, Any]:
    """The vectors of some texts.

    Args:
        embedder: has them embedded.
        texts: each with its place in the caller's list.
        progress: whether a bar is shown.

    Raises:
        EmbeddingError: naming the text in the caller's list.
    """
    given, found = list(texts), dict[str, Any]()
    bar = ProgressBar(len(given), "documents", shown=progress, timed=True)
    for part, vectors in embedder.batches(given, list(texts.values())):
        found.update(zip(given[part], vectors, strict=True))
        bar.add(len(vectors))
    return found

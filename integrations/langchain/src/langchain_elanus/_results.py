"""From what the store found to LangChain's documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from langchain_core.documents import Document

from elanus import Document as StoredDocument
from elanus import RankedDocument
from langchain_elanus._options import SearchOptions

EXPLANATION = "_elanus"
"""The metadata key under which a document says why it was found, if that was asked for."""


def as_document(found: StoredDocument) -> Document:
    """A stored document."""
    return Document(id=found.id, page_content=found.text, metadata=found.metadata)


def as_found(rank: int, hit: RankedDocument, options: SearchOptions) -> Document:
    """A document that was found at a rank, counted from 1."""
    said = _explained(rank, hit) if options.explain else {}
    if options.context:
        said |= {"before": _texts(hit.before), "after": _texts(hit.after)}
    metadata = {**hit.metadata, EXPLANATION: said} if said else hit.metadata
    return Document(id=hit.id, page_content=hit.text, metadata=metadata)


def _texts(documents: Sequence[StoredDocument]) -> list[str]:
    return [document.text for document in documents]


def _explained(rank: int, hit: RankedDocument) -> dict[str, Any]:
    legs = [asdict(leg) for leg in hit.explanation]
    return {"rank": rank, "score": hit.score, "relevance": hit.relevance, "legs": legs}

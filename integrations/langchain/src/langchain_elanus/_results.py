"""From what the store found to LangChain's documents."""

from __future__ import annotations

from typing import Any

from langchain_core.documents import Document

from elanus import Document as StoredDocument
from elanus import RankedDocument

EXPLANATION = "_elanus"
"""The metadata key under which a document says why it was found, if that was asked for."""


def as_document(found: StoredDocument) -> Document:
    """A stored document."""
    return Document(id=found.id, page_content=found.text, metadata=found.metadata)


def as_found(rank: int, hit: RankedDocument, *, explain: bool) -> Document:
    """A document that was found at a rank, counted from 1."""
    metadata = {**hit.metadata, EXPLANATION: _explained(rank, hit)} if explain else hit.metadata
    return Document(id=hit.id, page_content=hit.text, metadata=metadata)


def _explained(rank: int, hit: RankedDocument) -> dict[str, Any]:
    legs = [
        {"leg": e.leg, "score": e.score, "rank": e.rank, "contribution": e.contribution}
        for e in hit.explanation
    ]
    return {"rank": rank, "score": hit.score, "relevance": hit.relevance, "legs": legs}

"""Questions whose answers are known, and the documents that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from elanus.documents import Document, DocumentStore
from elanus.errors import ElanusWarning, ParamError, quoted, shown, warn
from elanus.schema import mapping, refuse, text, whole

# Grades. trec_eval takes memory for each number up to the largest, and gives wrong values without.
_LEAST, _MOST = -1_000_000, 1_000_000


T = TypeVar("T")


def of_type(what: str, kind: type[T], value: Any) -> T:
    """A value of one of our types.

    Raises:
        ParamError: if it is of another.
    """
    if not isinstance(value, kind):
        raise ParamError(f"{what} must be of type {kind.__name__}; got {shown(value)}")
    return value


def checked_store(store: Any) -> DocumentStore:
    """The store that is to be searched.

    Raises:
        ParamError: if it is something else, such as an adapter, which has one.
    """
    if not isinstance(store, DocumentStore):
        raise ParamError(
            f"store must be of type DocumentStore; got {shown(store)} (LangChain's "
            "ElanusVectorStore has one as .store)"
        )
    return store


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions, and for each of them which documents answer it.

    Args:
        texts: what is asked, by the question's id.
        judgements: for each question the grades of documents, by their ids: 1 and above is
            relevant, 0 and below is not. A document without a grade counts as not relevant.
        name: what tables and reports call them.
        made_of: what they were made of, if nobody asked or judged them (``known_item_queries``);
            empty for judged questions. Tables and reports say so.

    Raises:
        ParamError: naming the question, if one has no relevant document (every search would be
            as bad), if one is judged but not asked, or if a value is of another type.
    """

    texts: Mapping[str, str]
    judgements: Mapping[str, Mapping[str, int]]
    name: str = "questions"
    made_of: str = ""

    def __post_init__(self) -> None:
        texts, judgements = mapping("texts", self.texts), mapping("judgements", self.judgements)
        if not texts:
            raise ParamError("texts: there is no question")
        for id_ in judgements:
            if id_ not in texts:
                raise ParamError(f"judgements: question {quoted(id_)} is not among the texts")
        for id_, question in texts.items():
            text("an id of a question", id_)
            if not isinstance(question, str):
                refuse(f"texts[{quoted(id_)}]", "a string", question)
        graded = {id_: _grades(id_, judgements.get(id_, {})) for id_ in texts}
        # The fields of a frozen value: what is checked is what is kept, whatever the caller does.
        object.__setattr__(self, "texts", texts)
        object.__setattr__(self, "judgements", graded)
        text("name", self.name)
        if not isinstance(self.made_of, str):
            refuse("made_of", "a string", self.made_of)

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, in the order in which the questions were given."""
        return tuple(self.texts)

    def relevant(self, question: str) -> frozenset[str]:
        """Ids of the documents that answer a question."""
        return frozenset(d for d, grade in self.judgements[question].items() if grade > 0)


def _grades(question: str, given: Any) -> dict[str, int]:
    what = f"judgements[{quoted(question)}]"
    grades = {
        text(f"{what}: the id of a document", id_): whole(
            f"{what}[{quoted(id_)}]", grade, _LEAST, _MOST
        )
        for id_, grade in mapping(what, given).items()
    }
    if not any(grade > 0 for grade in grades.values()):
        raise ParamError(f"{what}: no document has a grade of 1 or more; leave the question out")
    return grades


def warn_of_missing(store: DocumentStore, questions: Questions) -> None:
    """Warn if a store lacks documents that were judged relevant: no search can find them."""
    judged = sorted(frozenset[str]().union(*map(questions.relevant, questions.ids)))
    found = {row["id"] for row in store.client.get(store.collection, judged, ["id"])}
    missing = [id_ for id_ in judged if id_ not in found]
    if missing:
        message = (
            f"{len(missing):,} of the {len(judged):,} documents that were judged relevant are not "
            f"in the store, such as {quoted(missing[0])}: they count as not found. Are the "
            "judgements about other ids?"
        )
        warn(ElanusWarning(message))


@dataclass(frozen=True, slots=True)
class Dataset:
    """Documents, and questions about them.

    Attributes:
        name: what it is called.
        documents: texts (the title, a line break and the text, where there is a title) with their
            metadata.
        questions: those that have a relevant document.
    """

    name: str
    documents: tuple[Document, ...]
    questions: Questions

    def add_to(self, store: DocumentStore, *, vectors: Any = None, progress: bool = False) -> None:
        """Add all documents to a store.

        Args:
            store: where they go.
            vectors: (n, dim) their embeddings, if they are known already.
            progress: show a progress bar on standard error.

        Raises:
            DataNotMatchException, EmbeddingError, ParamError: as ``DocumentStore.add``.
        """
        store.add(
            [d.text for d in self.documents],
            [d.metadata for d in self.documents],
            [d.id for d in self.documents],
            vectors=vectors,
            progress=progress,
        )

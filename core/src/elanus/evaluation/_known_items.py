"""Questions made of documents, for those who have no judged ones."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import starmap
from typing import Any, Literal

import numpy as np

from elanus.documents import Document, DocumentStore
from elanus.errors import ParamError, quoted
from elanus.evaluation._questions import Questions, of_type
from elanus.schema import choice, is_mapping, members, refuse, text, whole

MadeOf = Literal["first sentence", "title"]
_KINDS: tuple[MadeOf, ...] = ("first sentence", "title")

# Up to the first end of a sentence: a mark with space behind it, or one of those that need none.
# Not at once, because of "Dr." and its like.
_SENTENCE = re.compile(r".{8,}?(?:[.!?…](?=\s|$)|[。\uff01\uff1f]|\n|$)", re.DOTALL)
_LONGEST = 300
_SHORTEST = 8
_SEEDS = 2**32 - 1


def known_item_queries(
    documents: Iterable[Document], made_of: str = "first sentence", count: int = 200, seed: int = 0
) -> Questions:
    """Questions made of documents: each is taken from one document, which is its only answer.

    They tell whether a search finds a document again by what it says of itself. They are not what
    people ask: a question has its document's own words, which favours search by words, and other
    documents may answer it as well and count as wrong. Use them to see that nothing is broken, or
    to compare settings of one leg; choose between dense and text search by judged questions.

    Args:
        documents: a ``DocumentStore``, or any documents.
        made_of: ``"first sentence"`` of the text, or ``"title"``: the text under the store's
            own title key, or else under ``"title"`` in the metadata.
        count: how many at most. They are drawn at random from the documents that have such a text,
            of 8 characters at least, that no other document shares. A sentence is cut at 300.
        seed: of the random choice; the same documents in the same order give the same questions.

    Returns:
        Questions with the ids of their documents; ``made_of`` says what they are.

    Raises:
        ParamError: if an argument is wrong, or if no question can be made.
    """
    kind = choice("made_of", made_of, _KINDS)
    count, seed = whole("count", count, 1), whole("seed", seed, 0, _SEEDS)
    own = documents.stats().title if isinstance(documents, DocumentStore) else None
    key = "title" if own is None else own
    given = members("documents", "a store or a list of documents", documents)
    found = {d.id: _taken(d, kind, key) for d in starmap(_checked, enumerate(given))}
    often = Counter(question.casefold() for question in found.values())
    usable = [id_ for id_, q in found.items() if len(q) >= _SHORTEST and often[q.casefold()] == 1]
    if not usable:
        where = f" (the metadata {quoted(key)})" if kind == "title" else ""
        raise ParamError(
            f"documents: none of {len(found)} has a {kind}{where} of {_SHORTEST} characters "
            "that no other has"
        )
    drawn = np.random.default_rng(seed).permutation(len(usable))[:count]
    ids = [usable[i] for i in sorted(drawn)]
    return Questions(
        {id_: found[id_] for id_ in ids},
        {id_: {id_: 1} for id_ in ids},
        "known items",
        f"the {kind} of each of {len(ids)} documents",
    )


def _checked(at: int, given: Any) -> Document:
    """A document whose members are of their types, which nobody has looked at before."""
    document, what = of_type("documents", Document, given), f"documents[{at}]"
    text(f"{what}: the id", document.id)
    if not isinstance(document.text, str):
        refuse(f"{what}: the text", "a string", document.text)
    if not is_mapping(document.metadata):
        refuse(f"{what}: the metadata", "a dict", document.metadata)
    return document


def _taken(document: Document, kind: str, key: str) -> str:
    """What a document gives; empty if it has no such text. Its title is under the key."""
    title = document.metadata.get(key)
    if kind == "title":
        return " ".join(title.split()) if isinstance(title, str) else ""
    body = document.text
    if isinstance(title, str):  # which may stand before the text
        body = body.removeprefix(title)
    sentence = _SENTENCE.match(body.lstrip())
    return " ".join(sentence[0].split())[:_LONGEST] if sentence else ""

"""What a query may ask of its words beside their ranking: phrases, beginnings, typing errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from elanus.client import MilvusClient
from elanus.documents._collection import TERMS, TEXT
from elanus.errors import ParamError
from elanus.query import Expression, with_phrases
from elanus.schema import flag
from elanus.text import Span, build_analyzer

_PAIRS = (('"', '"'), ("“", "”"), ("„", "“"), ("«", "»"), ("「", "」"))
_QUOTED = re.compile("|".join(f"{begin}([^{begin}{end}]*){end}" for begin, end in _PAIRS))

_analyzer = lru_cache(maxsize=16)(build_analyzer)


@dataclass(frozen=True, slots=True)
class Wording:
    """The options of a search by words, as they were given.

    Attributes:
        analyzer: identity of the store's.
        phrases: whether what is between quotes has to occur as it stands.
        prefix: whether the last word also finds those that begin with it.
        typos: whether a word that no document has also finds those that one edit makes of it.
    """

    analyzer: str = ""
    phrases: Any = False
    prefix: Any = False
    typos: Any = False

    def checked(self, mode: str) -> Wording:
        """This with plain values.

        Raises:
            ParamError: if one is no bool, or is True where nothing is searched by words.
        """
        given = {name: getattr(self, name) for name in ("phrases", "prefix", "typos")}
        plain = {name: flag(name, value) for name, value in given.items()}
        for name, value in plain.items():
            if value and mode == "dense":
                raise ParamError(f"{name}=True is for the modes text and hybrid; got mode='dense'")
        return Wording(self.analyzer, **plain)

    def taken_from(self, query: str, scope: Expression | None) -> tuple[str, Expression | None]:
        """The query without quotes, and the documents to look among: those with all its phrases.

        A quoted part of which the analyzer makes no term asks for nothing, and a quote without its
        other half is no quote.
        """
        if not self.phrases:
            return query, scope
        phrases, plain = self._quoted(query)
        return plain.strip(), with_phrases(scope, TEXT, phrases)

    def _quoted(self, query: str) -> tuple[tuple[str, ...], str]:
        """The phrases of a query, each once, and the query without its quotes."""
        tokens = _analyzer(self.analyzer).tokens
        quoted = map(_inside, _QUOTED.finditer(query))
        phrases = tuple(part for part in dict.fromkeys(quoted) if tokens(part))
        return phrases, _QUOTED.sub(lambda found: f" {_inside(found)} ", query)

    def spans(self, client: MilvusClient, collection: str, text: str, query: str) -> list[Span]:
        """Where a text holds what a query finds: its phrases as a whole, its other words anywhere.

        Args:
            client: the client, which is asked what words stand for, if they may for others.
            collection: name of the collection.
            text: the text.
            query: the query, with its quotes.
        """
        analyzer, plain, rest = _analyzer(self.analyzer), query, query
        phrases: tuple[str, ...] = ()
        if self.phrases:
            phrases, plain = self._quoted(query)
            rest = _QUOTED.sub(" ", query)
        terms = set(analyzer.query_tokens(plain))
        # What goes on in quotes does not go on: the phrase is found as it stands.
        prefix = self.prefix and not (phrases and _ends_quoted(query))
        if prefix or self.typos:
            terms |= set(
                client.query_terms(collection, TERMS, plain, prefix=prefix, typos=self.typos)
            )
        quoted = {term for phrase in phrases for term in analyzer.tokens(phrase)}
        return analyzer.spans(text, terms - (quoted - set(analyzer.tokens(rest))), phrases)


def _inside(found: re.Match[str]) -> str:
    return "".join(filter(None, found.groups()))


def _ends_quoted(query: str) -> bool:
    end = len(query.rstrip())
    return any(found.end() >= end for found in _QUOTED.finditer(query))

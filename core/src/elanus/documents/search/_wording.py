"""What a query may ask of its words beside their ranking: phrases, beginnings, typing errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from elanus.documents._collection import TEXT
from elanus.errors import ParamError
from elanus.query import Expression, with_phrases
from elanus.schema import flag
from elanus.text import build_analyzer

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
        tokens = _analyzer(self.analyzer).tokens
        quoted = ["".join(filter(None, found.groups())) for found in _QUOTED.finditer(query)]
        phrases = tuple(part for part in dict.fromkeys(quoted) if tokens(part))
        plain = _QUOTED.sub(lambda found: f" {''.join(filter(None, found.groups()))} ", query)
        return plain.strip(), with_phrases(scope, TEXT, phrases)

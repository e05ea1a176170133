"""How a store searches where a call does not say: numbers that are kept with the collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from elanus.client import MilvusClient
from elanus.documents._collection import TERMS, TITLE_TERMS, VECTOR
from elanus.errors import ParamError, quoted, reading
from elanus.schema import (
    DEFAULT_B,
    DEFAULT_K1,
    LARGEST_BOOST,
    AdaptiveRanker,
    IndexParams,
    number,
    refuse,
    whole,
)

WEIGHT, DEPTH, TITLE_BOOST = "elanus.weight", "elanus.depth", "elanus.title_boost"
"""Properties of a collection."""

_K1, _B = "bm25_k1", "bm25_b"
_LARGEST_WEIGHT, _LARGEST_K1 = 1e9, 3.0


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """What a search goes by where its own arguments say nothing; None says nothing either.

    Attributes:
        weight: of ``AdaptiveRanker``: how much the vectors count beside the text; from 0 to 1e9.
        k1: of BM25: how much further occurrences of a word count; from 0 to 3.
        b: of BM25: how much the length of a text counts; from 0 to 1.
        depth: how many hits each leg gives to the fusion; a search for k documents takes 4k if
            that is more.
        title_boost: what a word of the title counts beside one of the text, in a store that has
            titles; from 0 to 1e6.

    Raises:
        ParamError: naming the number that is out of range.
    """

    weight: float | None = None
    k1: float | None = None
    b: float | None = None
    depth: int | None = None
    title_boost: float | None = None

    def __post_init__(self) -> None:
        for name, most in (("weight", _LARGEST_WEIGHT), ("k1", _LARGEST_K1), ("b", 1.0),
                           ("title_boost", LARGEST_BOOST)):  # fmt: skip
            given = getattr(self, name)
            if given is not None:
                # The field of a frozen value: what is checked is what is kept.
                object.__setattr__(self, name, float(number(name, given, 0, most)))
        if self.depth is not None:
            object.__setattr__(self, "depth", whole("depth", self.depth, 1))

    def __str__(self) -> str:
        given = ((each.name, getattr(self, each.name)) for each in fields(self))
        said = [f"{name} {value:g}" for name, value in given if value is not None]
        return ", ".join(said) or "nothing"

    def over(self, other: SearchSettings) -> SearchSettings:
        """These settings, and those of another where these say nothing."""
        return SearchSettings(
            other.weight if self.weight is None else self.weight,
            other.k1 if self.k1 is None else self.k1,
            other.b if self.b is None else self.b,
            other.depth if self.depth is None else self.depth,
            other.title_boost if self.title_boost is None else self.title_boost,
        )


NOTHING = SearchSettings()
USUAL_TITLE_BOOST = 0.25
DEFAULTS = SearchSettings(AdaptiveRanker().weight, DEFAULT_K1, DEFAULT_B, depth=100)


def checked_settings(given: Any) -> SearchSettings:
    """Settings that a caller gave; None for those that say nothing.

    Raises:
        ParamError: if it is anything else.
    """
    if given is None:
        return NOTHING
    if not isinstance(given, SearchSettings):
        refuse("settings", "SearchSettings or None", given)
    return given


def usual_settings(embedding: Any) -> SearchSettings:
    """What a store goes by that has no settings of its own: the model's weight, and the defaults.

    Raises:
        ParamError: if the ``adaptive_weight`` of the embedding function is no weight.
    """
    with reading(f"embedding {quoted(embedding)}", "adaptive_weight"):
        weight = getattr(embedding, "adaptive_weight", None)
    if weight is None:
        return DEFAULTS
    what = f"embedding {quoted(embedding.name)}: adaptive_weight"
    return SearchSettings(float(number(what, weight, 0, _LARGEST_WEIGHT))).over(DEFAULTS)


def kept_for_fusion(properties: Mapping[str, Any]) -> SearchSettings:
    """What is kept but ``k1`` and ``b``, which every search by words knows by itself."""
    return SearchSettings(
        weight=properties.get(WEIGHT),
        depth=properties.get(DEPTH),
        title_boost=properties.get(TITLE_BOOST),
    )


def kept_settings(client: MilvusClient, collection: str) -> SearchSettings:
    """All that is kept with a collection."""
    params: Mapping[str, Any] = {}
    for name in client.list_indexes(collection, TERMS):
        found = client.describe_index(collection, name)
        params = found["params"] if found else params
    saturation = SearchSettings(k1=params.get(_K1), b=params.get(_B))
    return saturation.over(kept_for_fusion(client.check_readable(collection)))


def keep_settings(
    client: MilvusClient,
    collection: str,
    settings: SearchSettings,
    *,
    has_vectors: bool,
    has_titles: bool,
) -> None:
    """Keep settings with a collection, in one commit; what they do not say is kept no longer.

    Raises:
        ParamError: if they are of a fusion with vectors, or of titles, and there are none.
    """
    check_titles(settings, has_titles=has_titles)
    if not has_vectors and (settings.weight, settings.depth) != (None, None):
        raise ParamError(
            f"weight and depth are of a fusion with vectors (the field {VECTOR!r}), which "
            f"collection {quoted(collection)} lacks; leave them out, got {settings}"
        )
    indexes = IndexParams()
    params = text_params(settings)
    indexes.add_index(TERMS, "SPARSE_INVERTED_INDEX", metric_type="BM25", params=params)
    properties = {
        WEIGHT: settings.weight,
        DEPTH: settings.depth,
        TITLE_BOOST: settings.title_boost,
    }
    if has_titles:
        indexes.add_index(TITLE_TERMS, "SPARSE_INVERTED_INDEX", metric_type="BM25", params=params)
    client.change_collection(collection, properties, indexes)


def check_titles(settings: SearchSettings, *, has_titles: bool) -> None:
    """Check that there are titles to weigh, if they are to be weighed.

    Raises:
        ParamError: if not.
    """
    if settings.title_boost is not None and not has_titles:
        raise ParamError(
            f"title_boost={settings.title_boost:g} is for a store that was made with title=…, "
            "which this one was not"
        )


def title_params(
    search: SearchSettings, kept: Mapping[str, Any], usual: SearchSettings
) -> dict[str, Any]:
    """Parameters of a search by words that also finds those of titles."""
    boost = search.over(kept_for_fusion(kept)).over(usual).title_boost
    return {"boosts": {TITLE_TERMS: boost}} if boost else {}


def text_params(settings: SearchSettings) -> dict[str, float]:
    """Parameters of a search by words, or of its index."""
    given = {_K1: settings.k1, _B: settings.b}
    return {name: value for name, value in given.items() if value is not None}

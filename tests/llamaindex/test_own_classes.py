"""Nodes of classes that ask something of what they hold come back as they are, whatever is asked."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.bridge.pydantic import ConfigDict, Field, field_validator, model_validator
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import VectorStoreQuery

from elanus.errors import DataNotMatchException, ParamError


class Frozen(TextNode):
    model_config = ConfigDict(frozen=True)


class FrozenMetadata(TextNode):
    metadata: dict[str, Any] = Field(default_factory=dict, frozen=True)


class Tuples(TextNode):
    excluded_llm_metadata_keys: tuple[str, ...] = ()


class Hiding(TextNode):
    excluded_llm_metadata_keys: list[str] = Field(default_factory=lambda: ["secret"])


class Unchanging(TextNode):
    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(name)


class Known(TextNode):
    @field_validator("metadata")
    @classmethod
    def check_keys(cls, given: dict[str, Any]) -> dict[str, Any]:
        if given.keys() - {"page"}:
            raise ValueError("a key that is not known")
        return given


class Paged(TextNode):
    @model_validator(mode="after")
    def check_page(self) -> Paged:
        if "page" not in self.metadata:
            raise ValueError("a page needs its number")
        return self


class Linked(TextNode):
    @model_validator(mode="after")
    def check_source(self) -> Linked:
        if NodeRelationship.SOURCE not in self.relationships:
            raise ValueError("no source")
        return self


class Titled(TextNode):
    title: str = ""

    @model_validator(mode="before")
    @classmethod
    def take_title(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "title": given.get("metadata", {}).get("page", 0) * "i"}


class Few(TextNode):
    count: int = 0

    @field_validator("count")
    @classmethod
    def check_count(cls, given: int) -> int:
        if given > 5:
            raise ValueError("more than five")
        return given


LINKS = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id="book", metadata={"a": 1})}
CLASSES = [Frozen, FrozenMetadata, Tuples, Hiding, Unchanging, Known, Paged, Linked, Titled]
QUERY = VectorStoreQuery(query_embedding=[1.0, 2.0], similarity_top_k=1)


def make(kind):
    return kind(
        id_="n", text="kite", metadata={"page": 3}, relationships=LINKS, embedding=[1.0, 2.0]
    )


@pytest.mark.parametrize("kind", CLASSES)
def test_they_come_back_equal(store, kind):
    node = make(kind)
    store.add([node])
    assert store.get_nodes() == [node]
    (found,) = store.query(QUERY).nodes
    assert found == kind.from_dict({**node.to_dict(), "embedding": None})


@pytest.mark.parametrize("kind", [each for each in CLASSES if each is not Known])
def test_what_a_query_says_of_them_is_hidden_from_models(store, kind):
    node = make(kind)
    store.add([node])
    (found,) = store.query(QUERY, explain=True, context=1).nodes
    assert found.metadata["page"] == 3
    assert found.metadata["_elanus"]["score"] == pytest.approx(1.0)
    assert found.metadata["_elanus_passage"] == "kite"
    hidden = ["_elanus", "_elanus_passage"]
    for field in ("excluded_llm_metadata_keys", "excluded_embed_metadata_keys"):
        assert list(getattr(found, field)) == [*getattr(node, field), *hidden]


def test_a_query_leaves_them_the_keys_that_it_asks_for(store):
    for kind in (Frozen, FrozenMetadata, Unchanging):
        store.add([make(kind)])
        for keys, kept in ((["page", "x"], {"page": 3}), (["x"], {}), ([], {})):
            asked = VectorStoreQuery(
                query_embedding=[1.0, 2.0], similarity_top_k=1, output_fields=keys
            )
            assert store.query(asked).nodes[0].metadata == kept


def test_a_class_that_does_not_take_what_a_query_says_is_named(store):
    store.add([make(Known)])
    taken = r"node 'n': the class .*Known does not take .* the query asks for: .*key that is not kn"
    with pytest.raises(ParamError, match=taken):
        store.query(QUERY, explain=True)
    store.add([make(Paged)])
    with pytest.raises(ParamError, match=r"node 'n': the class .*Paged .* needs its number"):
        store.query(
            VectorStoreQuery(query_embedding=[1.0, 2.0], similarity_top_k=1, output_fields=["x"])
        )


def test_what_would_be_refused_when_it_is_read_is_refused_for_its_own_reason(store):
    refused = r"node 'n': the class .*Few does not take back .*more than five"
    with pytest.raises(DataNotMatchException, match=refused):
        store.add([make(Few).model_copy(update={"count": 9})])
    # A source enters two more keys.
    with pytest.raises(DataNotMatchException, match=r"the class .*Known .*key that is not known"):
        store.sync("book", [make(Known)])
    assert store.get_nodes() == []
    store.sync("book", [make(Paged)])
    assert store.get_nodes()[0].metadata == {"page": 3, "source": "book", "position": 0}

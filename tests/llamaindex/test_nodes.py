"""A node comes back as it went in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.schema import (
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    MediaResource,
    Node,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
)

from elanus.errors import ParamError
from llama_index.vector_stores.elanus import ElanusVectorStore

SOURCE = RelatedNodeInfo(node_id="doc", node_type="4", metadata={"file": "a.md"}, hash="abc")
LINKS = {
    NodeRelationship.SOURCE: SOURCE,
    NodeRelationship.NEXT: RelatedNodeInfo(node_id="next", metadata={}),
    NodeRelationship.CHILD: [RelatedNodeInfo(node_id="c1"), RelatedNodeInfo(node_id="c2")],
}
NODES = [
    TextNode(text="plain"),
    TextNode(text=""),
    TextNode(
        text="all of it \U0001f985 \x00 'quoted'",
        metadata={"a": None, "b": [1, "x"], "c": {"d": {"e": 0.5}}, "_x": True},
        excluded_embed_metadata_keys=["a"],
        excluded_llm_metadata_keys=["b"],
        relationships=LINKS,
        metadata_template="{key}={value}",
        metadata_separator=" | ",
        text_template="{content} ({metadata_str})",
        start_char_idx=0,
        end_char_idx=17,
        mimetype="text/markdown",
    ),
    Document(text="a document", metadata={"author": "n"}, relationships=LINKS),
    Document(text_resource=MediaResource(text="x", mimetype="text/html", path="x.html")),
    Document(),
    ImageNode(text="a picture", image="aGVsbG8=", image_mimetype="image/png"),
    ImageDocument(text="described", image_resource=MediaResource(url="https://example.org/x.png")),
    IndexNode(text="see there", index_id="other"),
    IndexNode(text="holds a node", index_id="other", obj=TextNode(id_="inner", text="inner")),
    Node(
        text_resource=MediaResource(text="words"),
        image_resource=MediaResource(data=b"\x89PNG\r\n\x1a\n", mimetype="image/png"),
        audio_resource=MediaResource(url="https://example.org/x.mp3"),
    ),
    Node(image_resource=MediaResource(data=b"only a picture")),
]


@pytest.mark.parametrize("node", NODES, ids=lambda node: type(node).__name__)
def test_a_node_of_any_kind_comes_back_equal(store, node):
    node = node.model_copy(update={"embedding": [0.5, -1.0]})
    store.add([node])
    (back,) = store.get_nodes([node.node_id])
    assert type(back) is type(node)
    assert back == node
    assert back.hash == node.hash
    assert back.model_dump() == node.model_dump()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def shared():
    store = ElanusVectorStore(":memory:")
    yield store
    assert store.client.verify() == []
    store.close()


@settings(max_examples=60)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"])),
    metadata=st.dictionaries(st.text("kn _$.", max_size=3), json_values, max_size=3),
)
def test_any_text_and_json_metadata_come_back_equal(shared, text, metadata):
    node = TextNode(text=text, metadata=metadata, embedding=[1.0])
    shared.add([node])
    assert shared.get_nodes([node.node_id]) == [node]


def test_the_store_sees_the_text_and_the_metadata_of_a_node(store):
    node = TextNode(text="red kite", metadata={"year": 2020}, embedding=[1.0], relationships=LINKS)
    store.add([node])
    (document,) = store.store.search("kites", mode="text", filter="year == 2020")
    assert document.text == "red kite"
    own = {key: value for key, value in document.metadata.items() if not key.startswith("_")}
    assert own == {"year": 2020}
    assert document.metadata["_ref_doc_id"] == "doc"


def test_what_something_else_wrote_is_a_text_node(store):
    store.add([TextNode(text="x", embedding=[1.0, 0.0])])
    store.store.add(["written elsewhere"], [{"a": 1}], ids=["foreign"], vectors=[[0.0, 1.0]])
    (node,) = store.get_nodes(["foreign"])
    assert node == TextNode(
        id_="foreign", text="written elsewhere", metadata={"a": 1}, embedding=[0.0, 1.0]
    )


def test_a_text_changed_in_the_store_is_the_text_of_the_node(store):
    node = Document(id_="d", text="before", embedding=[1.0])
    store.add([node])
    (document,) = store.store.get(["d"])
    store.store.add(["after"], [document.metadata], ids=["d"], vectors=[[1.0]])
    (back,) = store.get_nodes(["d"])
    assert (type(back), back.text) == (Document, "after")


@pytest.mark.parametrize("key", ["_node", "_ref_doc_id"])
def test_a_reserved_metadata_key_is_named(store, key):
    with pytest.raises(ParamError, match=f"node 'n'.*{key!r}"):
        store.add([TextNode(id_="n", text="x", metadata={key: 1}, embedding=[1.0])])

"""A node comes back as it went in."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.bridge.pydantic import AnyUrl, Field, PrivateAttr
from llama_index.core.llms import ChatMessage, MessageRole
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
from llama_index.core.vector_stores import VectorStoreQuery

from elanus.errors import DataNotMatchException, ParamError
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
    *(
        kind(text_resource=MediaResource(**{"mimetype": "text/x-test", **resource}))
        for kind in (Node, Document)
        for resource in (
            {"url": "https://example.org/a.txt"},
            {"path": "folder/a.txt"},
            {"data": b"bytes \xff"},
            {"embeddings": {"dense": [0.5]}},
            {},
            {"text": ""},
            {"text": "", "url": "https://example.org/a.txt"},
            {"text": "words", "data": b"bytes", "path": "a", "url": "https://example.org/"},
        )
    ),
    Node(
        video_resource=MediaResource(path="a.mp4", mimetype="video/mp4"),
        audio_resource=MediaResource(data=b"sound", embeddings={"dense": [1.0]}),
    ),
]


class Page(TextNode):
    """A user's own node: with a field more, and no class name of its own."""

    number: int
    tags: frozenset[str] = frozenset()


class Scan(ImageDocument):
    """One whose class name is its own."""

    printed: dt.date = dt.date(2026, 1, 1)

    @classmethod
    def class_name(cls):
        return "user.Scan"


class Deeper(Page):
    pass


NODES += [
    Page(text="own", number=3, tags=frozenset("ab"), relationships=LINKS),
    Scan(text="own", printed=dt.date(2025, 2, 3)),
    Deeper(text="", number=1, metadata={"a": [1]}),
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


def test_a_class_that_was_defined_again_is_the_last_one(store):
    def define(**fields):
        return type("Again", (TextNode,), {"__module__": __name__, **fields})

    first = define()
    store.add([first(id_="n", text="x", embedding=[1.0])])
    last = define()
    (back,) = store.get_nodes(["n"])
    assert type(back) is last
    assert type(back) is not first


def test_a_class_that_moved_is_found_by_a_name_of_its_own(store):
    def define(module):
        own = staticmethod(lambda: "user.Moved")
        return type("Moved", (TextNode,), {"__module__": module, "class_name": own})

    store.add([define("before")(id_="n", text="x", embedding=[1.0])])
    after = define("after")
    after.__qualname__ = "Renamed"
    (document,) = store.store.get(["n"])
    document.metadata["_node"]["__class__"] = "gone.Moved"
    store.store.add(["x"], [document.metadata], ids=["n"], vectors=[[1.0]])
    (back,) = store.get_nodes(["n"])
    assert type(back) is after


def test_a_class_that_this_process_does_not_know_is_named_and_not_imported(tmp_path):
    file = tmp_path / "kb.db"
    (tmp_path / "user_nodes.py").write_text(
        "from llama_index.core.schema import TextNode\n"
        "print('imported')\n"
        "class Mine(TextNode):\n    number: int = 1\n"
    )
    program = """
import sys
sys.path.insert(0, sys.argv[1])
from llama_index.vector_stores.elanus import ElanusVectorStore
from elanus.errors import ParamError
store = ElanusVectorStore(sys.argv[1] + "/kb.db")
if sys.argv[2] == "write":
    from user_nodes import Mine
    store.add([Mine(id_="n", text="x", number=5, embedding=[1.0])])
elif sys.argv[2] == "read":
    try:
        store.get_nodes(["n"])
    except ParamError as error:
        print(error)
else:
    import user_nodes
    print(store.get_nodes(["n"])[0].number)
store.close()
"""

    def run(what):
        command = [sys.executable, "-c", program, str(tmp_path), what]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert run("write") == "imported\n"
    said = run("read")
    assert "node 'n' is of the class user_nodes.Mine, which this process does not know" in said
    assert "imported\n" not in said
    assert run("import") == "imported\n5\n"
    store = ElanusVectorStore(file)
    with pytest.raises(ParamError, match=r"user_nodes\.Mine"):
        store.get_nodes(["n"])
    store.close()


def test_what_a_class_does_not_take_any_more_is_named(store):
    store.add([Page(id_="n", text="x", number=3, embedding=[1.0])])
    (document,) = store.store.get(["n"])
    document.metadata["_node"]["number"] = "three"
    store.store.add(["x"], [document.metadata], ids=["n"], vectors=[[1.0]])
    with pytest.raises(ParamError, match=r"node 'n': the class .*Page does not take.*number"):
        store.get_nodes(["n"])


def test_a_text_given_to_a_node_without_one_is_its_text(store):
    store.add([Node(id_="n", embedding=[1.0]), Document(id_="d", embedding=[1.0])])
    for name in ("n", "d"):
        (document,) = store.store.get([name])
        store.store.add(["after"], [document.metadata], ids=[name], vectors=[[1.0]])
        assert store.get_nodes([name])[0].get_content() == "after"


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


FOREIGN = [
    *({"_node": kept} for kept in ("n17", 5, None, True, [], ["ab", "cd"], {}, {"a": 1})),
    *({"_node": {"class_name": name}} for name in ("Mine", 5, None, ["TextNode"], {"a": 1})),
    *({"_node": {"class_name": "TextNode", "__class__": path}} for path in (5, ["a"])),
    *({"_ref_doc_id": source} for source in ("d", 5, None, [])),
    {"_ref_doc_id": "d", "_node": "n17"},
    {"_ref_doc_id": ["d"], "_node": {"class_name": "TextNode"}},
    {"_ref_doc_id": "d", "_node": {"class_name": ["TextNode"]}},
    {"_ref_doc_id": "d", "_node": {"class_name": "TextNode", "__class__": {}}},
]


@pytest.mark.parametrize("metadata", FOREIGN, ids=str)
def test_what_something_else_wrote_under_our_keys_is_a_text_node(store, metadata):
    ours = TextNode(id_="n", text="x", embedding=[1.0, 0.0])
    store.add([ours])
    store.store.add(["written elsewhere"], [metadata], ids=["foreign"], vectors=[[0.0, 1.0]])
    foreign = TextNode(
        id_="foreign", text="written elsewhere", metadata=metadata, embedding=[0.0, 1.0]
    )
    assert store.get_nodes() == [foreign, ours]
    found = store.query(VectorStoreQuery(query_embedding=[1.0, 0.0], similarity_top_k=2))
    assert found.ids == ["n", "foreign"]
    assert found.nodes[1].metadata == metadata


@pytest.mark.parametrize("kept", [{"relationships": 5}, {"text_resource": 5}])
def test_what_no_class_takes_is_named(store, kept):
    store.add([TextNode(id_="n", text="x", embedding=[1.0])])
    metadata = {"_ref_doc_id": "d", "_node": {"class_name": "Document", **kept}}
    store.store.add(["x"], [metadata], ids=["n"], vectors=[[1.0]])
    with pytest.raises(ParamError, match=r"node 'n': the class .*Document does not take"):
        store.get_nodes(["n"])


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


def linked(metadata):
    """A node whose own metadata, and those of its source and children, are the same."""
    info = RelatedNodeInfo(node_id="doc", metadata=metadata)
    links = {NodeRelationship.SOURCE: info, NodeRelationship.CHILD: [info, info]}
    return TextNode(id_="n", text="x", embedding=[1.0], metadata=metadata, relationships=links)


NUMPY = [(np.int64(3), 3), (np.float32(0.5), 0.5), (np.bool_(True), True), (np.str_("x"), "x")]


@pytest.mark.parametrize(("value", "plain"), NUMPY, ids=lambda value: type(value).__name__)
def test_scalars_of_numpy_are_their_plain_values(store, value, plain):
    for held, expected in ((value, plain), (np.array([value]), [plain])):
        store.add([linked({"k": held, "deep": {"a": [held]}})])
        (back,) = store.get_nodes(["n"])
        assert repr(back.metadata) == repr({"k": expected, "deep": {"a": [expected]}})
        infos = [back.source_node, *back.child_nodes]
        assert [info.metadata for info in infos] == [back.metadata] * 3


@pytest.mark.parametrize(
    "value",
    [
        b"\xff",
        b"text",
        np.bytes_(b"x"),
        np.datetime64(5, "ns"),
        np.timedelta64(5, "ns"),
        np.array([5], "M8[ns]"),
        np.float64("inf"),
        dt.timedelta(5),
        float("-inf"),
        {1},
        {1: 2},
        object(),
        2**64,
    ],
    ids=lambda value: type(value).__name__,
)
def test_metadata_that_json_lacks_are_refused_by_document_and_key(store, value):
    good = TextNode(text="", embedding=[0.0])
    for metadata in ({"k": value}, {"k": [value]}, {"k": {"a": value}}):
        with pytest.raises(DataNotMatchException, match=r"document 1, metadata: at \['k'\]"):
            store.add([good, linked(metadata)])
        node = linked(metadata).model_copy(update={"metadata": {}})
        where = (
            r"document 1, metadata: at \['_node'\]\['relationships'\]\['1'\]\['metadata'\]\['k'\]"
        )
        with pytest.raises(DataNotMatchException, match=where):
            store.add([good, node])
    assert store.get_nodes() == []


def test_what_llamaindex_itself_puts_into_metadata_has_its_json_form(store):
    message = ChatMessage(role="user", content="Hello.", additional_kwargs={"path": Path("a/b")})
    block = {"url": AnyUrl("https://example.org/x.png"), "of": [MessageRole.USER, message]}
    store.add([linked({"k": block, "sub_dicts": [message.model_dump()]})])
    (back,) = store.get_nodes(["n"])
    kept = message.model_dump(mode="json")
    expected = {"url": "https://example.org/x.png", "of": ["user", kept]}
    assert back.metadata == {"k": expected, "sub_dicts": [kept]}
    assert back.source_node.metadata == back.metadata


def test_metadata_that_hold_themselves_are_refused(store):
    held = {}
    held["k"] = [held, held]
    node = TextNode(id_="n", text="x", embedding=[1.0]).model_copy(update={"metadata": held})
    with pytest.raises(DataNotMatchException, match=r"node 'n': metadata is nested more than"):
        store.add([node])


class Anything(TextNode):
    """A node of which a field may hold whatever a user puts there."""

    score: float = 0.0
    most: float | None = None
    x: Any = None
    hidden: str = Field(default="as made", exclude=True)
    _own: int = PrivateAttr(default=1)


NAN, INF = math.nan, math.inf
LOST = {
    "embedding of an image": (ImageNode(text_embedding=[1.0, NAN]), "text_embedding.1"),
    "embedding of a resource": (
        Node(text_resource=MediaResource(text="t", embeddings={"dense": [INF]})),
        "text_resource.embeddings.dense.0",
    ),
    "NaN": (Anything(score=NAN), "score"),
    "infinite": (Anything(score=-INF), "score"),
    "optional": (Anything(most=NAN), "most"),
    "any NaN": (Anything(x=NAN), "x"),
    "date": (Anything(x=dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)), "x"),
    "bytes": (Anything(x=b"text"), "x"),
    "set": (Anything(x={1}), "x"),
    "keys": (Anything(x={1: 2}), "x"),
    "path": (Anything(x=Path("a")), "x"),
    "model": (Anything(x=TextNode(text="t")), "x"),
    "deep": (Anything(x={"a": [1, {"b": INF}]}), "x.a.1.b"),
    "metadata of an object": (
        IndexNode(index_id="i", obj=TextNode(metadata={"a": [NAN]})),
        "obj.metadata.a.0",
    ),
    "date of an object": (
        IndexNode(index_id="i", obj=TextNode(metadata={"a": dt.date(2020, 1, 1)})),
        "obj.metadata.a",
    ),
    "bytes of an object": (
        IndexNode(index_id="i", obj=Node(image_resource=MediaResource(data=b"picture"))),
        "obj.image_resource.data",
    ),
    "class of an object": (IndexNode(index_id="i", obj=Page(text="t", number=1)), "obj"),
}


@pytest.mark.parametrize(("node", "field"), LOST.values(), ids=LOST)
def test_a_node_that_would_not_come_back_as_it_is_is_refused(store, node, field):
    good = TextNode(id_="good", text="kite", embedding=[1.0])
    store.add([good])
    bad = node.model_copy(update={"id_": "bad", "embedding": [1.0]})
    where = rf"node 'bad', field {re.escape(field)}: it would not come back.*; got "
    with pytest.raises(DataNotMatchException, match=where):
        store.add([TextNode(text="with it", embedding=[1.0]), bad])
    assert store.get_nodes() == [good]


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_a_value_that_pydantic_has_not_seen_is_refused_too(store):
    bad = TextNode(id_="bad", embedding=[1.0]).model_copy(update={"start_char_idx": NAN})
    with pytest.raises(DataNotMatchException, match=r"node 'bad', field start_char_idx: .*got nan"):
        store.add([bad])


def test_a_class_that_does_not_take_back_what_it_gives_is_refused(store):
    class Odd(TextNode):
        @classmethod
        def from_dict(cls, *_args, **_kwargs):
            raise KeyError("left")

    with pytest.raises(
        DataNotMatchException, match=r"node 'n': the class .*Odd does not take back"
    ):
        store.add([Odd(id_="n", text="t", embedding=[1.0])])
    assert store.get_nodes() == []


def test_what_a_class_keeps_from_its_dumps_comes_back_as_its_default(store):
    node = Anything(id_="n", text="t", hidden="mine", x=(1, [2]), embedding=[1.0])
    node._own = 5
    store.add([node])
    (back,) = store.get_nodes(["n"])
    again = Anything.from_dict(node.to_dict())
    assert (back.hidden, back._own) == (again.hidden, again._own) == ("as made", 1)
    assert back.x == [1, [2]]  # tuples are lists, as in metadata


@pytest.mark.parametrize("obj", ["text", {"k": 1}, [1, 2], 5], ids=repr)
def test_an_object_that_is_no_node_comes_back_as_llamaindex_gives_it(store, obj):
    node = IndexNode(id_="n", text="t", index_id="i", obj=obj, embedding=[1.0])
    store.add([node])
    (back,) = store.get_nodes(["n"])
    again = IndexNode.from_dict(node.to_dict())
    assert type(back.obj) is type(again.obj) is TextNode
    assert back.obj.text == again.obj.text == json.dumps(obj)


@pytest.mark.parametrize("obj", [TextNode(metadata={"k": b"\xff"}), {"k": np.int64(1)}, {"k": {1}}])
def test_an_object_of_a_node_that_json_lacks_is_refused_by_node(store, obj):
    node = IndexNode(id_="n", text="x", index_id="i", obj=obj, embedding=[1.0])
    with pytest.raises(DataNotMatchException, match=r"node 'n'.*no form in JSON"):
        store.add([node])

"""``sync``: the nodes of one source become those that are given."""

from __future__ import annotations

import asyncio

import pytest
from llama_index.core.schema import TextNode

from elanus import ParamError, SyncReport


def called(store, is_async, *arguments):
    return asyncio.run(store.async_(*arguments)) if is_async else store.sync(*arguments)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_source_becomes_what_is_given(store, make_node, is_async):
    assert called(store, is_async, "guide", []) == SyncReport([])
    assert store.store is None
    nodes = [make_node(name, [i, 1.0], source="doc") for i, name in enumerate("abc")]
    assert called(store, is_async, "guide", nodes) == SyncReport(["a", "b", "c"], written=3)
    store.add([make_node("z", [1.0, 1.0])])
    assert called(store, is_async, "guide", nodes) == SyncReport(["a", "b", "c"], unchanged=3)
    nodes[1] = make_node("new", [5.0, 1.0], source="doc")
    assert called(store, is_async, "guide", nodes) == SyncReport(["a", "new", "c"], 1, 2, 1)
    found = store.get_nodes(["a", "new", "c"])
    assert [node.metadata for node in found] == [
        {"source": "guide", "position": i} for i in range(3)
    ]
    assert [node.embedding for node in found] == [[0.0, 1.0], [5.0, 1.0], [2.0, 1.0]]
    assert {node.ref_doc_id for node in found} == {"doc"}
    # What was read can be given again, in another order.
    assert called(store, is_async, "guide", found[::-1]).ids == ["c", "new", "a"]
    assert called(store, is_async, "guide", []).deleted == 3
    assert [node.node_id for node in store.get_nodes()] == ["z"]


def test_what_is_wrong_changes_nothing(store, make_node):
    store.sync("guide", [make_node("a", [1.0])])
    store.add([make_node("z", [1.0])])
    with pytest.raises(ParamError, match="node 'b' has no embedding"):
        store.sync("guide", [TextNode(id_="b", text="b")])
    with pytest.raises(ParamError, match="id 'z' is that of a document of no source"):
        store.sync("guide", [make_node("z", [1.0])])
    with pytest.raises(ParamError, match=r"nodes\[0\] must be a node"):
        store.sync("guide", ["b"])
    with pytest.raises(ParamError, match="source must be"):
        store.sync(None, [])
    assert [node.node_id for node in store.get_nodes()] == ["a", "z"]

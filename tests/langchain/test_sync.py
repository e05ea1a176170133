"""``sync``: the documents of one source become those that are given, embedded once."""

from __future__ import annotations

import asyncio

import pytest
from langchain_core.documents import Document

from elanus import ParamError, SyncReport
from elanus.errors import DataNotMatchException


def chunks(*texts):
    return [Document(text, metadata={"source": "guide.md", "n": len(text)}) for text in texts]


def called(store, is_async, *arguments):
    return asyncio.run(store.async_(*arguments)) if is_async else store.sync(*arguments)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_source_becomes_what_is_given(store, embeddings, is_async):
    store.add_texts(["of another"], [{"source": "other.md"}], ids=["other"])
    embeddings.calls.clear()
    first = called(store, is_async, "guide.md", iter(chunks("Open.", "Press.", "Close.")))
    assert (first.written, first.embedded) == (3, 3)
    assert embeddings.calls == [("embed_documents", 3)]
    again = called(store, is_async, "guide.md", chunks("Open.", "Press.", "Close."))
    assert again == SyncReport(first.ids, unchanged=3)
    changed = called(store, is_async, "guide.md", chunks("Open.", "Press both.", "Close."))
    assert (changed.written, changed.unchanged, changed.deleted) == (1, 2, 1)
    assert embeddings.calls == [("embed_documents", 3), ("embed_documents", 1)]
    assert [(each.page_content, each.metadata) for each in store.get_by_ids(changed.ids)] == [
        (text, {"source": "guide.md", "position": i, "n": len(text)})
        for i, text in enumerate(["Open.", "Press both.", "Close."])
    ]
    hits = store.store.search("Press both.", 1, "text", context=1)
    assert [d.text for d in (*hits[0].before, *hits[0].after)] == ["Open.", "Close."]
    read = store.get_by_ids(changed.ids)
    assert called(store, is_async, "guide.md", read).unchanged == 3
    assert called(store, is_async, "guide.md", []).deleted == 3
    assert [each.id for each in store.store] == ["other"]


def test_what_is_wrong_changes_nothing(store):
    store.sync("a", [Document("one", id="x")])
    store.add_texts(["two"], ids=["y"])
    with pytest.raises(DataNotMatchException, match="'source' must be that of the call"):
        store.sync("a", [Document("three", metadata={"source": "b"})])
    with pytest.raises(ParamError, match="id 'y' is that of a document of no source"):
        store.sync("a", [Document("three", id="y")])
    with pytest.raises(ParamError, match=r"documents\[1\] must be a Document"):
        store.sync("a", [Document("three"), "four"])
    with pytest.raises(ParamError, match="source must be"):
        store.sync("", [Document("three")])
    assert [each.id for each in store.store] == ["x", "y"]

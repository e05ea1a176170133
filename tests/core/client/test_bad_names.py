"""Filters that do not parse, names that do not exist, addresses that cannot be opened."""

import re

import pytest

from elanus import AnnSearchRequest, AsyncMilvusClient, ElanusError, MilvusClient
from elanus.errors import (
    ClosedError,
    CollectionNotFoundError,
    DatabaseNotFoundError,
    FilterError,
    ParamError,
    StorageError,
    UnsupportedError,
)


def search(data=None, **options):
    options = {"anns_field": "dense", **options}
    return lambda client: client.search("c", [[1, 2]] if data is None else data, **options)


def query(*args, **options):
    return lambda client: client.query("c", *args, **options)


def fuse(*requests, ranker=None, **options):
    return lambda client: client.hybrid_search("c", list(requests), ranker, **options)


def leg(data=None, field="dense", param=None, limit=3, **options):
    return AnnSearchRequest(
        [[1, 2]] if data is None else data, field, param or {}, limit, **options
    )


# Filter, position of the offending character (None: the whole), words of the message.
BAD_FILTERS = {
    "unfinished": ("id >", 4, "."),
    "no operator": ("id 5", 3, "."),
    "open bracket": ("(id > 1", 7, "."),
    "open text": ('short == "a', 9, "."),
    "open list": ("id in [1, 2", 11, "."),
    "unknown character": ("id > 1 ; drop", 7, "."),
    "unknown field": ("none == 1", 0, "'none'"),
    "unknown template": ("id == {x}", 6, "x"),
    "text with number": ("short > 5", None, "."),
    "blank": ("   ", 0, "empty"),
    "surrogate": ('short == "\ud800"', 9, "surrogate"),
    "match on plain text": ('text_match(short, "a")', None, "short"),
    "match on a number": ('text_match(small, "a")', None, "small"),
}


@pytest.mark.parametrize("case", BAD_FILTERS.values(), ids=BAD_FILTERS)
def test_a_bad_filter_points_at_the_place(table, case, check_refused):
    expression, position, words = case
    calls = [
        query(expression),
        search(filter=expression),
        fuse(leg(expr=expression)),
        fuse(leg(), filter=expression),
        lambda client: client.delete("c", filter=expression),
    ]
    for call in calls:
        check_refused(table, FilterError, words, call)
    with pytest.raises(FilterError) as caught:
        table.query("c", expression)
    if position is not None:
        line = str(caught.value).split("\n")[-2]
        caret = str(caught.value).split("\n")[-1]
        assert line == "  " + expression.replace("\ud800", "\N{REPLACEMENT CHARACTER}")
        assert caret.index("^") == 2 + position
        assert caught.value.position == position
        assert f"position {position}" in str(caught.value)


@pytest.mark.parametrize("expression", [5, ["id > 1"], {"id": 1}, b"id > 1"], ids=repr)
def test_a_filter_must_be_text(table, expression, check_refused):
    check_refused(table, FilterError, "a filter is a string", query(expression))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (5, ParamError, "filter_params must be a dict"),
        ({}, FilterError, "x"),
        ({"x": object()}, FilterError, "x"),
    ],
)
def test_bad_template_values(table, params, error, message, check_refused):
    call = query("id == {x}", filter_params=params)
    check_refused(table, error, message, call)


BY_NAME = {
    "describe_collection": lambda c, n: c.describe_collection(n),
    "get_collection_stats": lambda c, n: c.get_collection_stats(n),
    "truncate_collection": lambda c, n: c.truncate_collection(n),
    "rename_collection": lambda c, n: c.rename_collection(n, "other"),
    "create_index": lambda c, n: c.create_index(n, []),
    "list_indexes": lambda c, n: c.list_indexes(n),
    "describe_index": lambda c, n: c.describe_index(n, "i"),
    "drop_index": lambda c, n: c.drop_index(n, "i"),
    "load_collection": lambda c, n: c.load_collection(n),
    "release_collection": lambda c, n: c.release_collection(n),
    "flush": lambda c, n: c.flush(n),
    "insert": lambda c, n: c.insert(n, [{}]),
    "insert nothing": lambda c, n: c.insert(n, []),
    "upsert": lambda c, n: c.upsert(n, [{}]),
    "delete": lambda c, n: c.delete(n, ids=[1]),
    "delete by filter": lambda c, n: c.delete(n, filter="id > 0"),
    "get": lambda c, n: c.get(n, [1]),
    "query": lambda c, n: c.query(n),
    "search": lambda c, n: c.search(n, [[1, 2]]),
    "hybrid_search": lambda c, n: c.hybrid_search(n, [leg()]),
}


@pytest.mark.parametrize("call", BY_NAME.values(), ids=BY_NAME)
def test_an_unknown_collection_is_named_with_those_that_exist(table, call, check_refused):
    for name in ("none", "C", None, 5, []):
        check_refused(
            table,
            CollectionNotFoundError,
            rf"collection {re.escape(repr(name))} not found; collections here: c, free",
            lambda client, name=name: call(client, name),
        )


@pytest.mark.parametrize("name", [None, 5, [], b"c"], ids=repr)
def test_a_name_must_be_text(table, name, check_refused):
    for call in (table.has_collection, table.drop_collection, table.get_load_state):
        check_refused(
            table, ParamError, "collection_name must be a string", lambda _, call=call: call(name)
        )


BAD_ADDRESSES = {
    "default": ({}, UnsupportedError, "server's address"),
    "http": (
        {"uri": "http://localhost:19530"},
        UnsupportedError,
        "'http://localhost:19530'.*files",
    ),
    "HTTPS": ({"uri": "HTTPS://host"}, UnsupportedError, "server's address"),
    "tcp": ({"uri": "tcp://host:1"}, UnsupportedError, "server's address"),
    "unix": ({"uri": "unix:socket"}, UnsupportedError, "server's address"),
    "number": ({"uri": 5}, ParamError, "file path or ':memory:', got 5"),
    "None": ({"uri": None}, ParamError, "got None"),
    "empty": ({"uri": ""}, ParamError, "got ''"),
    "bytes": ({"uri": b"x.db"}, ParamError, "got b'x.db'"),
    "NUL": ({"uri": "a\0b.db"}, ParamError, "no path can hold"),
    "surrogate": ({"uri": "a\ud800.db"}, ParamError, "no path can hold"),
    "no folder": (
        {"uri": "/no/such/folder/x.db"},
        DatabaseNotFoundError,
        "no folder /no/such/folder",
    ),
    "database": ({"uri": ":memory:", "db_name": "other"}, UnsupportedError, "db_name 'other'"),
    "keyword": ({"uri": ":memory:", "readonly": True}, UnsupportedError, "readonly=True"),
    "timeout": ({"uri": ":memory:", "timeout": "5"}, ParamError, "timeout.*'5'"),
    "negative timeout": ({"uri": ":memory:", "timeout": -1}, ParamError, "timeout.*-1"),
    "durability": ({"uri": ":memory:", "durability": "some"}, ParamError, "durability.*'some'"),
    "journal": ({"uri": ":memory:", "journal": "off"}, ParamError, "journal.*'off'"),
}


@pytest.mark.parametrize("case", BAD_ADDRESSES.values(), ids=BAD_ADDRESSES)
@pytest.mark.parametrize("kind", [MilvusClient, AsyncMilvusClient])
def test_a_bad_address_or_option_is_refused(kind, case):
    options, error, message = case
    with pytest.raises(error, match=message) as caught:
        kind(**options)
    assert isinstance(caught.value, ElanusError)


def test_a_folder_is_no_database(tmp_path):
    with pytest.raises(StorageError, match="it is a folder"):
        MilvusClient(tmp_path)


def test_after_close_every_call_says_so(tmp_path):
    client = MilvusClient(tmp_path / "a.db")
    client.create_collection("c", dimension=2)
    client.close()
    client.close()
    for call in BY_NAME.values():
        with pytest.raises(ClosedError, match="is closed"):
            call(client, "c")

"""What the suite asks of an adapter, and the two adapters behind it.

A filter is ``Leaf(key, operator, value)`` or ``Group(condition, parts)``, with LlamaIndex's names.
An adapter says what it can express, writes it in its framework's own words, and gives the ids that
its framework finds. Its store is filled with DOCUMENTS, whose text holds one common word, so that
every mode looks at all of them and the filter alone decides.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any, NamedTuple

import pytest
from langchain_core.embeddings import Embeddings
from langchain_core.structured_query import (
    Comparator,
    Comparison,
    Operation,
    Operator,
    StructuredQuery,
)
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)

from langchain_elanus import ElanusTranslator
from langchain_elanus import ElanusVectorStore as LangChainStore
from llama_index.vector_stores.elanus import ElanusVectorStore as LlamaIndexStore


class Leaf(NamedTuple):
    key: str
    operator: str
    value: Any


class Group(NamedTuple):
    condition: str
    parts: list


MISSING = object()
VALUES = [
    *(MISSING, None, True, False, 0, 1, 1.0, 2, -3, 0.5, 1e300, 2**60 + 1),
    *("", "red", "Red kite", "kite", "1", 'say "kite" \\ %', "STRASSE", "straße", "zzz"),
    *([], ["red"], ["red", "kite"], [1, 2], [1.0], [True], ["red", 1, None], [0.5, "kite"]),
    *({}, {"red": 1}),
]
# A second key, so that conditions join filters that really differ.
DOCUMENTS = {
    f"d{i:02}": ({} if value is MISSING else {"k": value})
    | ({} if i % 4 == 3 else {"n": i % 4, "s": "even" if i % 2 == 0 else "odd"})
    for i, value in enumerate(VALUES)
}
WORD = "kestrel"


def vector(place):
    angle = place / len(DOCUMENTS)
    return [math.cos(angle), math.sin(angle)]


def text(identity):
    return f"{WORD} {identity}"


class LlamaIndex:
    """MetadataFilters of LlamaIndex."""

    modes = ("default", "sparse", "text_search", "hybrid", "semantic_hybrid", "mmr", "get_nodes")
    # What LlamaIndex itself says of NE and NIN: a missing key, or another type, does not match.
    unequal_matches_all_others = False

    def __init__(self):
        self.store = LlamaIndexStore(":memory:")
        self.store.add(
            [
                TextNode(id_=identity, text=text(identity), metadata=metadata, embedding=vector(i))
                for i, (identity, metadata) in enumerate(DOCUMENTS.items())
            ]
        )

    def expresses(self, _):
        return True

    def written(self, part):
        if isinstance(part, Leaf):
            operator = FilterOperator[part.operator]
            return MetadataFilter(key=part.key, value=part.value, operator=operator)
        parts = [self.written(each) for each in part.parts]
        return MetadataFilters(filters=parts, condition=FilterCondition[part.condition])

    def _asked(self, part, mode):
        filters = self.written(part if isinstance(part, Group) else Group("AND", [part]))
        return filters, VectorStoreQuery(
            query_embedding=[1.0, 0.0],
            query_str=WORD,
            similarity_top_k=100,
            mode=mode,
            filters=filters,
        )

    def found(self, part, mode):
        if mode == "get_nodes":
            nodes = self.store.get_nodes(filters=self._asked(part, "default")[0])
            return [node.node_id for node in nodes]
        return self.store.query(self._asked(part, mode)[1]).ids

    def found_asynchronously(self, part, mode):
        async def run():
            if mode == "get_nodes":
                nodes = await self.store.aget_nodes(filters=self._asked(part, "default")[0])
                return [node.node_id for node in nodes]
            return (await self.store.aquery(self._asked(part, mode)[1])).ids

        return asyncio.run(run())

    def close(self):
        assert self.store.client.verify() == []
        self.store.close()


DICT_OPERATORS = {
    "EQ": "$eq",
    "NE": "$ne",
    "GT": "$gt",
    "GTE": "$gte",
    "LT": "$lt",
    "LTE": "$lte",
    "IN": "$in",
    "NIN": "$nin",
    "ANY": "$any",
    "ALL": "$all",
    "CONTAINS": "$contains",
    "TEXT_MATCH": "$substring",
    "TEXT_MATCH_INSENSITIVE": "$isubstring",
}
DICT_CONDITIONS = {"AND": "$and", "OR": "$or", "NOT": "$nor"}
# The other comparators of structured queries mean other things than LlamaIndex's operators.
COMPARATORS = ("EQ", "NE", "GT", "GTE", "LT", "LTE", "IN", "NIN")


class Fixed(Embeddings):
    """Each text's vector is the one that the suite gives it."""

    def embed_documents(self, texts):
        names = list(DOCUMENTS)
        return [vector(names.index(each.split()[1])) for each in texts]

    def embed_query(self, _):
        return [1.0, 0.0]


class LangChainDict:
    """Dict filters of LangChain, in the manner of MongoDB."""

    modes = ("hybrid", "dense", "text", "mmr")
    # $ne and $nin find whatever $eq and $in do not.
    unequal_matches_all_others = True

    def __init__(self):
        self.store = LangChainStore(Fixed(), uri=":memory:", embedding_name="fixed", dim=2)
        self.store.add_texts(
            [text(identity) for identity in DOCUMENTS],
            list(DOCUMENTS.values()),
            ids=list(DOCUMENTS),
        )

    def expresses(self, _):
        return True

    def written(self, part):
        if isinstance(part, Group):
            parts = [self.written(each) for each in part.parts]
            return {DICT_CONDITIONS[part.condition]: parts}
        if part.operator == "IS_EMPTY":
            return {part.key: {"$empty": True}}
        return {part.key: {DICT_OPERATORS[part.operator]: part.value}}

    def found(self, part, mode):
        if mode == "mmr":
            hits = self.store.max_marginal_relevance_search(
                WORD, k=100, fetch_k=100, filter=self.written(part)
            )
        else:
            hits = self.store.similarity_search(WORD, k=100, filter=self.written(part), mode=mode)
        return [hit.id for hit in hits]

    def found_asynchronously(self, part, mode):
        if mode == "mmr":
            hits = self.store.amax_marginal_relevance_search(
                WORD, k=100, fetch_k=100, filter=self.written(part)
            )
        else:
            hits = self.store.asimilarity_search(WORD, k=100, filter=self.written(part), mode=mode)
        return [hit.id for hit in asyncio.run(hits)]

    def close(self):
        assert self.store.client.verify() == []
        self.store.close()


class LangChainStructured(LangChainDict):
    """Structured queries of LangChain, as a language model writes them for a self-query retriever."""

    modes = ("dense",)

    def expresses(self, part):
        if isinstance(part, Group):
            return all(self.expresses(each) for each in part.parts)
        return part.operator in COMPARATORS

    def written(self, part):
        query = StructuredQuery(query=WORD, filter=self._written(part))
        return ElanusTranslator().visit_structured_query(query)[1]["filter"]

    def _written(self, part):
        if isinstance(part, Leaf):
            comparator = Comparator[part.operator]
            return Comparison(comparator=comparator, attribute=part.key, value=part.value)
        arguments = [self._written(each) for each in part.parts]
        return Operation(operator=Operator[part.condition], arguments=arguments)


ADAPTERS = (LlamaIndex, LangChainDict, LangChainStructured)


@pytest.fixture(scope="session", params=ADAPTERS, ids=lambda kind: kind.__name__)
def adapter(request):
    adapter = request.param()
    yield adapter
    adapter.close()


@pytest.fixture(scope="session")
def suite():
    """The words of the suite: what a test file cannot import from here."""

    class Suite:
        leaf, group, documents = Leaf, Group, DOCUMENTS

    return Suite

"""``ElanusRetriever``: hybrid search as a LangChain retriever."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever, LangSmithRetrieverParams
from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from elanus.arguments import flag, number, whole
from langchain_elanus._options import Mode
from langchain_elanus._short import ShortRepr
from langchain_elanus._vectorstore import ElanusVectorStore


class ElanusRetriever(ShortRepr, BaseRetriever):
    """The documents that answer a question best.

    Everything but the store can also be given to ``invoke`` and ``ainvoke``, for one question:
    ``retriever.invoke("red kite", k=2, filter={"year": 2026})``.

    Args:
        vectorstore: what is searched.
        k: how many documents at most.
        mode: ``"hybrid"``, ``"dense"`` or ``"text"``.
        filter: a dict or an expression over metadata keys.
        ranker: how hybrid mode fuses; None for the store's.
        reranker: orders the best hits anew; None for the store's.
        rerank_top: how many of them it is shown; None for 50, or ``k`` if that is more.
        group_by: a metadata key, or a list of what leads to a value; of the documents with the same
            value only the best is found.
        context: how many documents before and after each come along, under ``"_elanus"`` in its
            metadata.
        phrases: only documents are found that hold what stands between quotes in the question.
        prefix: the last word of the question also finds words that begin with it.
        typos: a word that no document has also finds those that one edit makes of it.
        explain: whether documents say why they were found, under ``"_elanus"`` in their metadata.
        score_threshold: leave out documents of a smaller relevance, from 0 to 1.

    Example:
        >>> ElanusRetriever(vectorstore=store, k=3).invoke("Who soars on thermals?")
    """

    vectorstore: ElanusVectorStore
    k: int = Field(default=4, ge=1)
    mode: Mode = "hybrid"
    filter: Any = None
    ranker: Any = None
    reranker: Any = None
    rerank_top: int | None = Field(default=None, ge=1)
    group_by: Any = None
    context: int = Field(default=0, ge=0)
    phrases: bool = False
    prefix: bool = False
    typos: bool = False
    explain: bool = False
    score_threshold: float | None = Field(default=None, ge=0.0, le=1.0)

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    # Before pydantic, which would read the text "false" as False, and True as 1.

    @field_validator("k", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> int:
        return whole("k", value, 1)

    @field_validator("context", mode="before")
    @classmethod
    def _reach(cls, value: Any) -> int:
        return whole("context", value, 0)

    @field_validator("rerank_top", mode="before")
    @classmethod
    def _top(cls, value: Any) -> int | None:
        return None if value is None else whole("rerank_top", value, 1)

    @field_validator("explain", "phrases", "prefix", "typos", mode="before")
    @classmethod
    def _flag(cls, value: Any, info: ValidationInfo) -> bool:
        return flag(str(info.field_name), value)

    @field_validator("score_threshold", mode="before")
    @classmethod
    def _number(cls, value: Any) -> float | None:
        return None if value is None else number("score_threshold", value, 0, 1)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **changed: Any
    ) -> list[Document]:
        del run_manager  # a search starts no runs of its own
        return self.vectorstore.similarity_search(query, **self._arguments(changed))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **changed: Any
    ) -> list[Document]:
        del run_manager
        return await self.vectorstore.asimilarity_search(query, **self._arguments(changed))

    def _arguments(self, changed: dict[str, Any]) -> dict[str, Any]:
        own = {
            "k": self.k,
            "mode": self.mode,
            "explain": self.explain,
            "filter": self.filter,
            "score_threshold": self.score_threshold,
            "context": self.context,
            "phrases": self.phrases,
            "prefix": self.prefix,
            "typos": self.typos,
        }
        # None is the store's own ranker and reranker, which it also could be told to do without.
        own |= {} if self.ranker is None else {"ranker": self.ranker}
        for name in ("reranker", "rerank_top", "group_by"):
            own |= {} if getattr(self, name) is None else {name: getattr(self, name)}
        if "expr" in changed:
            del own["filter"]
        return own | changed

    def _get_ls_params(self, **kwargs: Any) -> LangSmithRetrieverParams:
        params = super()._get_ls_params(**kwargs)
        params["ls_vector_store_provider"] = type(self.vectorstore).__name__
        if self.vectorstore.embeddings is not None:
            params["ls_embedding_provider"] = type(self.vectorstore.embeddings).__name__
        return params

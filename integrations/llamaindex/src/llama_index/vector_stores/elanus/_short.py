"""What the models of this package share: how they show themselves, and which fields they take."""

from __future__ import annotations

from typing import Any

from llama_index.core.bridge.pydantic import BaseModel, model_validator

from elanus.errors import likely, listed, quoted


class ShortRepr(BaseModel):
    """A pydantic model whose representation has at most 200 characters for each field.

    A field that it does not have raises TypeError, which names those that it has: pydantic's own
    error for ``extra="forbid"`` does not.
    """

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, given: Any) -> Any:
        # LlamaIndex adds the name of the class when it dumps.
        known = {*cls.model_fields, "class_name"}
        if isinstance(given, dict) and (unknown := [*map(str, given.keys() - known)]):
            raise TypeError(
                f"{cls.__name__}() got unexpected arguments: {listed(sorted(unknown))}; known: "
                f"{', '.join(cls.model_fields)}{likely(min(unknown), cls.model_fields)}"
            )
        return given

    def __repr_str__(self, join_str: str) -> str:
        return join_str.join(f"{name}={quoted(value)}" for name, value in self.__repr_args__())

"""What the models of this package share: how they show themselves, and which fields they take."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, model_validator

from elanus.errors import quoted
from langchain_elanus._options import check_names


class ShortRepr(BaseModel):
    """A pydantic model whose representation has at most 200 characters for each field.

    A field that it does not have raises TypeError, which names those that it has: pydantic's own
    error for ``extra="forbid"`` does not.
    """

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, given: Any) -> Any:
        if isinstance(given, dict):
            check_names(cls.__name__, given, cls.model_fields.keys())
        return given

    def __repr_str__(self, join_str: str) -> str:
        return join_str.join(f"{name}={quoted(value)}" for name, value in self.__repr_args__())

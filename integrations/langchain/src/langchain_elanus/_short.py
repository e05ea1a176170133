"""How the models of this package show themselves."""

from __future__ import annotations

from pydantic import BaseModel

from elanus.errors import quoted


class ShortRepr(BaseModel):
    """A pydantic model whose representation has at most 200 characters for each field."""

    def __repr_str__(self, join_str: str) -> str:
        return join_str.join(f"{name}={quoted(value)}" for name, value in self.__repr_args__())

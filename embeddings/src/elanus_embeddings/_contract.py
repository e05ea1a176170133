"""What an embedding function has to offer: the shape that Elanus accepts, whoever wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@runtime_checkable
class EmbeddingFunction(Protocol):
    """Turns texts into vectors. Any object with these members is one; there is nothing to inherit.

    Documents and queries have a method each, because some models prefix them differently. Where
    a model does not, both return the same vectors.

    Note:
        ``isinstance(x, EmbeddingFunction)`` checks that the members exist, not their signatures.
    """

    @property
    def dim(self) -> int:
        """Components of a vector."""
        ...

    @property
    def name(self) -> str:
        """The model's identity: two functions of one name give the same vectors."""
        ...

    def encode_documents(self, texts: list[str], /) -> npt.NDArray[np.float32]:
        """Encode texts that will be searched: float32, shape (len(texts), dim)."""
        ...

    def encode_queries(self, texts: list[str], /) -> npt.NDArray[np.float32]:
        """Encode texts that will be searched for: float32, shape (len(texts), dim)."""
        ...

    def __call__(self, texts: list[str], /) -> npt.NDArray[np.float32]:
        """Encode documents."""
        ...

"""The forward pass of a BERT sentence encoder: token ids in, one unit vector per text out.

Arithmetic only, in float32 numpy: no files, no tokenizer, no state. The network is that of Devlin
et al. (2019), "BERT", with post-layer normalisation and the exact GELU; the sentence vector is the
mean of the token vectors, as in Reimers and Gurevych (2019), "Sentence-BERT".

The texts of a batch are not padded to a rectangle. Their tokens stand one after the other in a
single matrix, so that everything which treats tokens alone (five of six multiplications) does no
work in vain, and only attention looks at texts, one group of equal length at a time. A padded batch
would need an attention mask, and would let a text's vector depend on its neighbours' lengths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from elanus_embeddings._gelu import gelu

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FloatArray: TypeAlias = npt.NDArray[np.float32]
IntArray: TypeAlias = npt.NDArray[np.int64]

_QKV = ("query", "key", "value")

# Scores of attention that are computed at a time: 512 KiB.
_SCORES = 1 << 17
# Below, neither the exponential of a score nor the sum of a row leaves float32.
_LARGEST_SCORE = 60


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """An affine map of row vectors, ``x @ weight + bias``.

    Attributes:
        weight: shape (inputs, outputs).
        bias: shape (outputs,).
    """

    weight: FloatArray
    bias: FloatArray

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Map every row: (n, inputs) to (n, outputs)."""
        product: FloatArray = rows @ self.weight
        product += self.bias
        return product


@dataclass(frozen=True, slots=True, eq=False)
class LayerNorm:
    """Layer normalisation (Ba, Kiros and Hinton, 2016) over the last axis.

    Attributes:
        gain: shape (width,).
        shift: shape (width,).
        epsilon: added to the variance.
    """

    gain: FloatArray
    shift: FloatArray
    epsilon: float

    def apply(self, rows: FloatArray) -> FloatArray:
        """Normalise every row of (n, width), in place, and return the same array."""
        rows -= rows.mean(axis=1, keepdims=True)
        variance = np.einsum("ij,ij->i", rows, rows) / np.float32(rows.shape[1])
        rows *= (1 / np.sqrt(variance + np.float32(self.epsilon)))[:, np.newaxis]
        rows *= self.gain
        rows += self.shift
        return rows


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One transformer block.

    Attributes:
        attend: queries, keys and values by one multiplication, (width, 3 * width); the queries are
            already divided by the square root of a head's width.
        merge: the map of the joined heads.
        merge_norm: normalisation after the attention's residual.
        expand: first map of the feed-forward layer, before GELU.
        contract: its second map, after GELU.
        output_norm: normalisation after the feed-forward layer's residual.
    """

    attend: Affine
    merge: Affine
    merge_norm: LayerNorm
    expand: Affine
    contract: Affine
    output_norm: LayerNorm


@dataclass(frozen=True, slots=True, eq=False)
class Bert:
    """A sentence encoder's weights, arranged for the forward pass.

    Attributes:
        words: token embeddings, (vocabulary, width).
        positions: position embeddings with that of the first segment added, (longest, width).
        norm: normalisation of the embedded tokens.
        layers: the transformer blocks.
        heads: attention heads; they divide the width.
    """

    words: FloatArray
    positions: FloatArray
    norm: LayerNorm
    layers: tuple[Layer, ...]
    heads: int

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, FloatArray], *, layers: int, heads: int, epsilon: float
    ) -> Bert:
        """Arrange the tensors of a published BERT checkpoint.

        Args:
            tensors: float32 arrays under the checkpoint's own names
                (``encoder.layer.0.attention.self.query.weight`` …).
            layers: number of transformer blocks.
            heads: number of attention heads.
            epsilon: the layer normalisations' epsilon.

        Returns:
            The encoder.

        Raises:
            KeyError: a tensor is missing.
        """
        segment = tensors["embeddings.token_type_embeddings.weight"][0]
        return cls(
            words=tensors["embeddings.word_embeddings.weight"],
            positions=tensors["embeddings.position_embeddings.weight"] + segment,
            norm=_norm(tensors, "embeddings.LayerNorm", epsilon),
            layers=tuple(
                _layer(tensors, f"encoder.layer.{i}.", heads, epsilon) for i in range(layers)
            ),
            heads=heads,
        )

    @property
    def width(self) -> int:
        """Components of a vector."""
        return int(self.words.shape[1])

    def encode(self, texts: Sequence[IntArray]) -> FloatArray:
        """Encode a batch of texts.

        Args:
            texts: the token ids of each text, special tokens included: at least one each, and no
                more than there are positions. Texts of equal length should be neighbours; order
                changes the speed only.

        Returns:
            Unit vectors, float32, shape (texts, width).
        """
        lengths = np.array([len(ids) for ids in texts], dtype=np.int64)
        starts = np.cumsum(lengths) - lengths
        ids = np.concatenate(texts)
        hidden = self.words[ids]
        hidden += self.positions[np.arange(len(ids)) - np.repeat(starts, lengths)]
        self.norm.apply(hidden)
        groups = _groups(lengths)
        for layer in self.layers:
            hidden = self._transform(hidden, layer, groups)
        # The mean's divisor would vanish in the unit length, so that sums do as well.
        return _unit(np.add.reduceat(hidden, starts, axis=0))

    def _transform(self, hidden: FloatArray, layer: Layer, groups: list[_Group]) -> FloatArray:
        merged = layer.merge(_attention(layer.attend(hidden), groups, self.heads))
        merged += hidden
        layer.merge_norm.apply(merged)
        output = layer.contract(gelu(layer.expand(merged)))
        output += merged
        return layer.output_norm.apply(output)


@dataclass(frozen=True, slots=True)
class _Group:
    """Neighbouring texts of one length: token rows ``tokens``, ``count`` texts of ``length``."""

    tokens: slice
    count: int
    length: int


def _groups(lengths: IntArray) -> list[_Group]:
    firsts = np.flatnonzero(np.diff(lengths, prepend=0))
    counts = np.diff(firsts, append=len(lengths))
    groups, start = [], 0
    for length, count in zip(lengths[firsts].tolist(), counts.tolist(), strict=True):
        stop = start + length * count
        groups.append(_Group(slice(start, stop), count, length))
        start = stop
    return groups


def _attention(qkv: FloatArray, groups: list[_Group], heads: int) -> FloatArray:
    """Scaled dot-product attention within each text: (tokens, 3 * width) to (tokens, width)."""
    joined = np.empty((len(qkv), qkv.shape[1] // 3), dtype=np.float32)
    for group in groups:
        shape = (group.count, group.length, 3, heads, -1)
        # To (3, texts, heads, tokens, width of a head), as views: BLAS reads the strides.
        queries, keys, values = qkv[group.tokens].reshape(shape).transpose(2, 0, 3, 1, 4)
        context = joined[group.tokens].reshape(group.count, group.length, heads, -1).swapaxes(1, 2)
        for block in _blocks(group, heads):
            context[block] = _context(queries[block], keys[block], values[block])
    return joined


def _blocks(group: _Group, heads: int) -> Iterator[tuple[slice, slice]]:
    """Texts and heads that are taken at a time, so that their scores stay within a core's cache."""
    size = group.length**2
    texts = max(1, _SCORES // (size * heads))
    some = min(heads, max(1, _SCORES // size))
    for text in range(0, group.count, texts):
        for head in range(0, heads, some):
            yield slice(text, text + texts), slice(head, head + some)


def _context(queries: FloatArray, keys: FloatArray, values: FloatArray) -> FloatArray:
    """The values of each text and head, weighted by the softmax of their scores."""
    weights = queries @ keys.swapaxes(-1, -2)
    # Rarely needed, and three passes over short rows.
    if max(weights.max(), -weights.min()) > _LARGEST_SCORE:
        weights -= weights.max(axis=-1, keepdims=True)
    np.exp(weights, out=weights)
    # Normalised after the product, where there are fewer numbers to divide; the sums by another
    # product, which is faster along short rows.
    context: FloatArray = weights @ values
    context /= weights @ np.ones((weights.shape[-1], 1), dtype=np.float32)
    return context


def _unit(vectors: FloatArray) -> FloatArray:
    unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _layer(tensors: Mapping[str, FloatArray], prefix: str, heads: int, epsilon: float) -> Layer:
    query, key, value = (_affine(tensors, f"{prefix}attention.self.{part}") for part in _QKV)
    scale = np.float32(1 / math.sqrt(query.weight.shape[1] // heads))
    return Layer(
        attend=Affine(
            np.hstack([query.weight * scale, key.weight, value.weight]),
            np.hstack([query.bias * scale, key.bias, value.bias]),
        ),
        merge=_affine(tensors, f"{prefix}attention.output.dense"),
        merge_norm=_norm(tensors, f"{prefix}attention.output.LayerNorm", epsilon),
        expand=_affine(tensors, f"{prefix}intermediate.dense"),
        contract=_affine(tensors, f"{prefix}output.dense"),
        output_norm=_norm(tensors, f"{prefix}output.LayerNorm", epsilon),
    )


def _affine(tensors: Mapping[str, FloatArray], name: str) -> Affine:
    # Checkpoints store (outputs, inputs); the transposed view costs BLAS nothing.
    return Affine(tensors[f"{name}.weight"].T, tensors[f"{name}.bias"])


def _norm(tensors: Mapping[str, FloatArray], name: str, epsilon: float) -> LayerNorm:
    return LayerNorm(tensors[f"{name}.weight"], tensors[f"{name}.bias"], epsilon)

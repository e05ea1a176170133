"""Folders in the shape of the BEIR benchmark: documents, questions and judgements."""

from __future__ import annotations

import codecs
import gzip
import lzma
import os
import re
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any, NoReturn

import orjson

from elanus.documents import Document
from elanus.errors import DataNotMatchException, ParamError, cut, listed, quoted, shown
from elanus.evaluation._questions import Dataset, Questions
from elanus.schema import as_path, text

_ENDS = ("", ".gz", ".xz")
_HEADER = ["query-id", "corpus-id", "score"]
_GRADE = re.compile(r"-?[0-9]{1,9}")


def read_beir(folder: str | os.PathLike[str], split: str | None = None) -> Dataset:
    """Read a folder in the shape of BEIR (Thakur et al., NeurIPS 2021).

    It holds ``corpus.jsonl`` (``_id``, ``text``, and perhaps ``title`` and ``metadata``),
    ``queries.jsonl`` (``_id``, ``text``), and ``qrels/<split>.tsv`` or ``qrels.tsv``: query,
    document and grade, with or without BEIR's header. Each may be packed, as ``.gz`` or ``.xz``.

    Args:
        folder: its path; the dataset has its name.
        split: which file of ``qrels/``, such as ``"test"``; may be left out if there is one.

    Returns:
        All documents; of the questions those that the split finds a relevant document for.

    Raises:
        ParamError: if a file is missing, or if it is not clear which is meant.
        DataNotMatchException: naming the file, the line and what is wrong with it.
    """
    place = Path(as_path("folder", "a path", folder))
    if not os.path.isdir(place):  # noqa: PTH112  # Path's raises for what no file can be called
        raise ParamError(f"folder {quoted(str(place))}: there is none of this name")
    documents = _read_corpus(_the_file(place, "corpus.jsonl"))
    texts = _read_queries(_the_file(place, "queries.jsonl"))
    file = _qrels_file(place, None if split is None else _checked_split(split))
    judgements = _read_qrels(file, texts, {d.id for d in documents})
    answered = [id_ for id_ in texts if any(g > 0 for g in judgements.get(id_, {}).values())]
    if not answered:
        raise DataNotMatchException(f"{file}: no document is relevant to any query")
    name = place.resolve().name
    questions = Questions(
        {id_: texts[id_] for id_ in answered}, {id_: judgements[id_] for id_ in answered}, name
    )
    return Dataset(name, documents, questions)


# --- which files -------------------------------------------------------------------------------


def _checked_split(split: Any) -> str:
    """The name of a split, which leads to no other folder."""
    if set(text("split", split)) & set("/\\"):
        raise ParamError(
            f"split {quoted(split)} must be the name of a file in qrels/, without a folder"
        )
    return str(split)


def _the_file(folder: Path, name: str) -> Path:
    places = [folder / f"{name}{end}" for end in _ENDS]
    found = [place for place in places if os.path.isfile(place)]  # noqa: PTH113  # as above
    if len(found) != 1:
        reason = "is in it more than once, packed and not" if found else "is not in it"
        raise ParamError(f"folder {quoted(str(folder))}: {cut(name)} {reason}")
    return found[0]


def _qrels_file(folder: Path, split: str | None) -> Path:
    """The one file of judgements, or that of the split."""
    if split is not None:
        return _the_file(folder / "qrels", f"{split}.tsv")
    ends = tuple(f".tsv{end}" for end in _ENDS)
    found = [f for f in sorted((folder / "qrels").glob("*")) if f.name.endswith(ends)]
    found += [f for f in sorted(folder.glob("qrels.tsv*")) if f.name.endswith(ends)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ParamError(f"folder {quoted(str(folder))}: has neither qrels.tsv nor qrels/*.tsv")
    names = listed([str(f.relative_to(folder)) for f in found])
    raise ParamError(f"folder {quoted(str(folder))}: has {names}; say which one with split")


# --- what is in them ---------------------------------------------------------------------------


def _opened(file: Path) -> BufferedIOBase:
    if file.suffix == ".gz":
        return gzip.open(file)
    return lzma.open(file) if file.suffix == ".xz" else file.open("rb")


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1."""
    number = 0
    try:
        with _opened(file) as stream:
            for number, line in enumerate(stream, 1):
                plain = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                if plain.strip():
                    yield number, plain
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        _refuse(file, number + 1, f"cannot be read: {error}")


def _refuse(file: Path, line: int, reason: str) -> NoReturn:
    raise DataNotMatchException(f"{file}, line {line}: {reason}")


def _objects(file: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Line, id and object of each line of a ``.jsonl``; ids are strings, each there once."""
    lines: dict[str, int] = {}
    for number, line in _lines(file):
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            _refuse(file, number, f"is no JSON: {error}")
        if not isinstance(found, dict):
            _refuse(file, number, f"must be a JSON object; got {shown(found)}")
        id_ = _member(file, number, found, "_id")
        if not id_:
            _refuse(file, number, "_id must not be empty")
        if id_ in lines:
            _refuse(file, number, f"_id {quoted(id_)} is that of line {lines[id_]}, too")
        lines[id_] = number
        yield number, id_, found


def _member(file: Path, line: int, found: dict[str, Any], key: str) -> str:
    value = found.get(key)
    if not isinstance(value, str):
        got = shown(value) if key in found else "none"
        _refuse(file, line, f"{key} must be a string; got {got}")
    return value


def _read_corpus(file: Path) -> tuple[Document, ...]:
    documents = []
    for number, id_, found in _objects(file):
        body = _member(file, number, found, "text")
        title = _member(file, number, {"title": ""} | found, "title")
        metadata = found.get("metadata", {})
        if not isinstance(metadata, dict):
            _refuse(file, number, f"metadata must be an object; got {shown(metadata)}")
        if title:
            body, metadata = f"{title}\n{body}", {"title": title} | metadata
        documents.append(Document(id_, body, metadata))
    return tuple(documents)


def _read_queries(file: Path) -> dict[str, str]:
    return {id_: _member(file, number, found, "text") for number, id_, found in _objects(file)}


def _read_qrels(file: Path, texts: dict[str, str], ids: set[str]) -> dict[str, dict[str, int]]:
    judgements: dict[str, dict[str, int]] = {}
    for number, line in _lines(file):
        try:
            cells = line.decode("utf-8").rstrip("\r\n").split("\t")
        except UnicodeDecodeError as error:
            _refuse(file, number, f"is not UTF-8: {error}")
        if number == 1 and cells == _HEADER:
            continue
        if len(cells) != len(_HEADER):
            _refuse(file, number, f"must be query, document and grade with tabs between; got {len(cells)} cells")  # fmt: skip # noqa: E501
        query, document, grade = cells
        if query not in texts:
            _refuse(file, number, f"query {quoted(query)} is not among the queries")
        if document not in ids:
            _refuse(file, number, f"document {quoted(document)} is not in the corpus")
        if not _GRADE.fullmatch(grade):
            _refuse(file, number, f"the grade must be an integer; got {quoted(grade)}")
        if document in judgements.setdefault(query, {}):
            _refuse(file, number, f"{quoted(document)} is judged twice for {quoted(query)}")
        judgements[query][document] = int(grade)
    return judgements

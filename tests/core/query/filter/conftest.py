"""A collection held in plain lists, as a source of columns."""

import numpy as np
import pytest

from elanus.query import Column, FieldKind, FieldType, extract_path

FIELDS = {
    "i": FieldKind(FieldType.INT),
    "b": FieldKind(FieldType.BOOL),
    "f": FieldKind(FieldType.FLOAT32),
    "d": FieldKind(FieldType.DOUBLE),
    "s": FieldKind(FieldType.STRING),
    "t": FieldKind(FieldType.STRING, analysed=True),
    "a": FieldKind(FieldType.ARRAY, FieldType.INT),
    "sa": FieldKind(FieldType.ARRAY, FieldType.STRING),
    "j": FieldKind(FieldType.JSON),
    "v": FieldKind(FieldType.VECTOR),
    "$meta": FieldKind(FieldType.JSON),
}


class Rows:
    """Rows as dicts; dynamic keys are in ``$meta``."""

    def __init__(self, rows, *, dynamic=True, cut=None):
        self.rows = rows
        self.n = len(rows)
        self.fields = dict(FIELDS)
        if not dynamic:
            del self.fields["$meta"]
        self.cut = self.n // 2 if cut is None else cut
        self.asked = []
        self.matches = []

    @property
    def kinds(self):
        return self.fields

    def columns(self, paths):
        return {path: self.column(path) for path in paths}

    def column(self, path):
        self.asked.append(path)
        name, *steps = path
        values = [row.get(name) for row in self.rows]
        if self.fields[name].type is FieldType.JSON:
            values = extract_path(values, steps)
        column = Column.empty(self.fields[name])
        return column.append(values[: self.cut]).append(values[self.cut :])

    def text_match(self, field, text, minimum):
        self.matches.append((field, text, minimum))
        words = set(text.split())
        found = [len(words & set((row.get(field) or "").split())) for row in self.rows]

        return np.array([count >= minimum for count in found], dtype=bool)

    def phrase_match(self, field, phrases, among, *, every):
        """As it is written; with ``slop``, its words in any order; elsewhere whatever comes."""
        self.matches += [(field, text, slop) for text, slop in phrases]
        texts = [row.get(field) or "" for row in self.rows]
        whole = [
            [set(text.split()) <= set(each.split()) if slop else text in each for each in texts]
            for text, slop in phrases
        ]
        found = (np.all if every else np.any)(np.array(whole, dtype=bool), axis=0)
        return found if among is None else np.where(among, found, ~found)


@pytest.fixture(scope="session")
def make_rows():
    return Rows

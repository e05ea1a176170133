"""A small store with questions about it, and made questions of which only the shape matters."""

from __future__ import annotations

import json
import re
import zlib

import numpy as np
import pytest

from elanus import DocumentStore
from elanus.evaluation import Questions, Ranking, Run

BIRDS = {
    "kite": "The red kite soars over open hills.",
    "elanus": "The black-winged kite hovers over grassland.",
    "falcon": "The peregrine falcon dives at its prey.",
    "owl": "The barn owl hunts mice at night.",
    "penguin": "The emperor penguin dives for fish under the ice.",
}
ASKED = {
    "hover": ("Which kite hovers?", {"elanus": 2, "kite": 1}),
    "dive": ("bird that dives at prey", {"falcon": 1}),
    "night": ("hunter of mice in the dark", {"owl": 1, "kite": 0}),
    "none": ("zzqx flurb", {"penguin": 1}),
}


class HashingEmbedding:
    """A bag of hashed words on the unit sphere; keeps the queries that it was given."""

    dim = 32
    name = "hashing"

    def __init__(self):
        self.asked = []

    def encode_documents(self, texts):
        matrix = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(matrix, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                row[zlib.crc32(word.encode()) % self.dim] += 1.0
        return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1.0)

    def encode_queries(self, texts):
        self.asked += texts
        return self.encode_documents(texts)


@pytest.fixture
def embedding():
    return HashingEmbedding()


@pytest.fixture
def birds(embedding):
    """A store of five documents."""
    with DocumentStore(":memory:", embedding) as store:
        store.add(list(BIRDS.values()), ids=list(BIRDS))
        yield store


@pytest.fixture
def questions():
    """Four questions about the birds, one of them without sense."""
    return Questions(
        {id_: text for id_, (text, _) in ASKED.items()},
        {id_: grades for id_, (_, grades) in ASKED.items()},
        "birds",
    )


@pytest.fixture
def make_run():
    """Makes a run of lists of ids, with relevances that fall from 1 where they are wanted."""

    def make(name, found, k=10, mode="", *, relevances=False):
        rankings = {}
        for question, ids in found.items():
            said = tuple(1 - rank / k for rank in range(len(ids))) if relevances else ()
            rankings[question] = Ranking(tuple(ids), said)
        return Run(name, rankings, k, mode)

    return make


@pytest.fixture
def write_folder(tmp_path):
    """Writes a folder in the shape of BEIR; what is given replaces a file, None leaves it out."""

    def write(**other):
        contents = {
            "corpus.jsonl": jsonl(
                {"_id": "d1", "title": "Kites", "text": "They soar.", "metadata": {"year": 1}},
                {"_id": "d2", "title": "", "text": "Owls hunt.\nAt night."},
                {"_id": "d3", "text": ""},
            ),
            "queries.jsonl": jsonl({"_id": "q2", "text": "owls?"}, {"_id": "q1", "text": "kites?"}),
            "qrels.tsv": b"query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td2\t1\n",
        }
        for name, content in (contents | other).items():
            if content is not None:
                (tmp_path / name).parent.mkdir(exist_ok=True)
                (tmp_path / name).write_bytes(content)
        return tmp_path

    return write


def jsonl(*objects):
    return "".join(json.dumps(each) + "\n" for each in objects).encode()

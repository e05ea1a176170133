"""An embedding function that reads two words of a text, and splits longer ones."""

import numpy as np

from elanus.errors import EmbeddingError

WORDS = "abcdefghxy"


class Reader:
    """Its vectors are counts of words, of unit length; what it was given is in ``calls``.

    It fails with the text ``bad``, and has embedded what was given before that.
    """

    name, dim = "reader", len(WORDS)

    def __init__(self, long_texts=None, bad=None):
        self.long_texts = long_texts
        self.bad = bad
        self.calls = []

    @staticmethod
    def vector(text):
        counts = np.array([text.split()[:2].count(word) for word in WORDS], dtype=np.float64)
        return counts / np.linalg.norm(counts)

    def encode_documents(self, texts):
        self.calls.append(list(texts))
        made = np.array([self.vector(text) for text in texts], dtype=np.float32)
        if self.bad in texts:
            place = texts.index(self.bad)
            error = EmbeddingError("refused {text}", range(len(texts)), fault=place)
            error.made = made[:place]
            raise error
        return made

    def encode_queries(self, texts):
        return np.array([self.vector(text) for text in texts], dtype=np.float32)

    def split_documents(self, texts):
        words = [text.split() for text in texts]
        return [[" ".join(each[i : i + 2]) for i in range(0, len(each), 2)] for each in words]

    def joined(self, texts):
        """What texts should have, in plain float64."""
        rows = []
        for text, parts in zip(texts, self.split_documents(texts), strict=True):
            total = sum((self.vector(part) for part in parts), np.zeros(self.dim))
            rows.append(total / np.linalg.norm(total) if text.strip() else total)
        return np.array(rows)

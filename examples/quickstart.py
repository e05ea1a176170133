"""Index the documentation of Python's standard library, then ask it questions.

    python examples/quickstart.py                    index on the first run, then answer questions
    python examples/quickstart.py "your question"    ask your own

The index is one file, demo.db, in the working folder. A second run opens it and answers at once; a
run that was interrupted while indexing goes on where it stopped. Delete the file to begin again.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import textwrap
import time
from typing import TYPE_CHECKING

from stdlib_docs import Passage, stdlib_passages

from elanus import DocumentStore
from elanus_embeddings import MiniLMEmbeddingFunction

if TYPE_CHECKING:
    from elanus import RankedDocument

QUESTIONS = (
    "run a command and stop it after a timeout",
    "measure how long a small piece of code takes",
    "find the longest common prefix of several file paths",
    "how do I cache the result of a function?",
    "shlex.quote",
)
SHOWN = 3  # hits a question
LEGEND = """
Each passage was looked for by meaning (dense) and by words (text), and scores by how far it stands
out in both. Its relevance is the estimated probability that it answers."""


def main() -> None:
    """Read the command line, index what is missing, and answer."""
    parser = argparse.ArgumentParser(
        description="Ask the documentation of Python's standard library."
    )
    parser.add_argument("question", nargs="*", help="a question of your own")
    parser.add_argument("--file", default="demo.db", help="the index (default: %(default)s)")
    parser.add_argument("--limit", type=int, metavar="N", help="index the first N passages only")
    arguments = parser.parse_args()

    embedding = MiniLMEmbeddingFunction(long_texts="parts")
    with DocumentStore(arguments.file, embedding=embedding) as store:
        index(store, arguments.limit)
        print(f"{store.count()} passages in {arguments.file}")
        print(LEGEND)
        own = " ".join(arguments.question)
        for question in [own] if own else QUESTIONS:
            answer(store, question)
        if not own:
            command = f"{os.path.relpath(sys.executable)} {sys.argv[0]}"
            print(f'\nAsk your own: {command} "your question"')


def index(store: DocumentStore, limit: int | None) -> None:
    """Add the passages that the file does not hold yet."""
    # The summary goes in last, so that where it is, nothing is missing. Looking it up is quick,
    # while reading the sources of the library takes longer than answering.
    summary_id = f"python-{platform.python_version()}-{limit or 'all'}"
    if store.get([summary_id]):
        return
    passages = stdlib_passages()[:limit]
    known = {document.id for document in store.get([passage.name for passage in passages])}
    missing = [passage for passage in passages if passage.name not in known]
    print(
        f"Indexing {len(missing)} passages about the library of Python {platform.python_version()}."
        " Only the first run does this.",
        flush=True,
    )
    store.add(
        [passage.text for passage in missing],
        metadatas=[passage.metadata for passage in missing],
        ids=[passage.name for passage in missing],
        progress=True,
    )
    summary = summarize(passages)
    store.add([summary.text], metadatas=[summary.metadata], ids=[summary_id])


def summarize(passages: list[Passage]) -> Passage:
    """Return a passage about the library as a whole."""
    modules = sorted({passage.module for passage in passages})
    doc = f"Version {platform.python_version()}. Its modules are: {', '.join(modules)}."
    return Passage("The Python standard library", "", "library", "", doc)


def answer(store: DocumentStore, question: str) -> None:
    """Print the best passages for a question, and why each was chosen."""
    start = time.perf_counter()
    hits = store.search(question, k=SHOWN, explain=True)
    elapsed = time.perf_counter() - start
    print(f"\n> {question}   [{elapsed * 1000:.0f} ms]")
    for number, hit in enumerate(hits, 1):
        show(number, hit)


def show(number: int, hit: RankedDocument) -> None:
    """Print one hit: its text, its score, and what each leg of the search contributed."""
    title, _, doc = hit.text.partition("\n")
    print(f"\n  {number}. {textwrap.shorten(title, 92, placeholder=' ...')}")
    print(textwrap.indent(textwrap.shorten(doc, 180, placeholder=" ..."), " " * 5))
    print(f"     relevance {hit.relevance:.2f}, score {hit.score:.2f}:")
    for leg in hit.explanation:
        rank = f"rank {leg.rank}" if leg.rank else "not among its first"
        print(f"       {leg.leg} gives {leg.contribution:.2f} ({rank}; {leg.reason})")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nStopped. What was indexed is kept: run it again to go on.")

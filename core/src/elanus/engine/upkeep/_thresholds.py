"""When upkeep is worth its while: sizes and seconds, as one value that is passed in.

The sizes of graphs have their defaults, with the reasons, beside `wants_graph` of the index.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from elanus.index import GRAPH_MIN_ROWS, GRAPH_MIN_VALUES


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long the background thread waits, and is waited for, in seconds.

    Attributes:
        first, longest: after work that failed; each further failure doubles the pause.
        start: for the thread to begin, by whoever waits for its work.
        grace: what is being saved may take so long once the database is closed; a gigabyte is
            written in that time.
    """

    first: float = 1.0
    longest: float = 60.0
    start: float = 5.0
    grace: float = 10.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The sizes from which something is done beside searches.

    Attributes:
        graph_rows, graph_values: of a dense field that is searched through a graph.
        longest_tail: rows behind a graph that are scanned; more of them are folded in.
        most_dead: share of the slots of a graph that may be dead.
        codes_tail, codes_share: likewise behind codes, the larger of a number and a share of what
            they cover, but no more than behind a graph: to fold 1,000 rows in takes 60 ms among
            100,000.
        codes_dead: share of the slots of codes that may be dead: each costs as much as another to
            be read, and nothing else.
        text_rows: rows of a text index or a column that are saved once a quarter of it is not:
            reading them takes 0.1 s.
        most_columns: columns of a collection that are saved; the files are mapped, and each map
            holds a descriptor.
        most_segments: pieces of a text index above which they are put together; each costs a query
            about 0.05 ms.
        rebuild_slots: slots of a view that is read afresh once most of them are dead.
        pauses: of the background thread.
    """

    graph_rows: int = GRAPH_MIN_ROWS
    graph_values: int = GRAPH_MIN_VALUES
    longest_tail: int = 10_000
    most_dead: float = 0.25
    codes_tail: int = 1_000
    codes_share: float = 1 / 16
    codes_dead: float = 0.5
    text_rows: int = 10_000
    most_columns: int = 32
    most_segments: int = 4
    rebuild_slots: int = 10_000
    pauses: Pauses = field(default_factory=Pauses)

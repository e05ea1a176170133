"""With a filter a search gives exactly min(k, matches) hits, all of them matching, by any index."""

import math
from itertools import product

import numpy as np
import pytest
from tiers import prefer_candidates

from elanus import DataType, Function, FunctionType, MilvusClient
from elanus.engine.upkeep._tasks import BackgroundUpkeep
from elanus.engine.upkeep._thresholds import Thresholds
from elanus.index import Codes, Graph

N, D, NAME = 2_000, 16, "many"
WORDS = ["red", "sea", "fox", "blue", "owl", "tea", "ash", "ink"]

# Of the rows that have a number, which runs through 0 … 999: how many pass each of these.
SELECTIVITY = {
    "": lambda _: True,
    "n >= 0": lambda r: r["n"] is not None,
    "n < 500": lambda r: r["n"] is not None and r["n"] < 500,
    "not (n >= 100)": lambda r: r["n"] is not None and r["n"] < 100,
    "n < 10": lambda r: r["n"] is not None and r["n"] < 10,
    "n == 5": lambda r: r["n"] == 5,
    "id == 77": lambda r: r["id"] == 77,
    "n > 5000": lambda _: False,
    "n is null": lambda r: r["n"] is None,
    "kind == 'rare'": lambda r: r.get("kind") == "rare",
    "exists kind and n < 500": lambda r: "kind" in r and r["n"] is not None and r["n"] < 500,
}
filters = pytest.mark.parametrize("text", SELECTIVITY)
SIZES = [(1, 0), (10, 0), (10, 7), (300, 0)]


def make_rows():
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(20, D))
    rows = {}
    for i in range(N):
        words = [WORDS[j] for j in rng.integers(0, len(WORDS), size=rng.integers(0, 9))]
        v = centres[rng.integers(0, 20)] + 0.3 * rng.normal(size=D)
        rows[i] = {
            "id": i,
            "text": " ".join(words),
            "v": v.astype(np.float32).tolist(),
            "s": {int(d): 1.0 + int(d) for d in rng.integers(0, 30, size=4)},
            "n": None if i % 11 == 0 else int(rng.integers(0, 1000)),
        }
        rows[i] |= {"kind": "rare" if i % 400 == 3 else "usual"} if i % 3 == 0 else {}
    # Equal vectors, so that ties are many.
    for i in range(0, N, 50):
        rows[i + 1]["v"] = rows[i]["v"]
    return rows


def make_client(index_type, metric):
    schema = MilvusClient.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("text", DataType.VARCHAR, max_length=999, enable_analyzer=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=D)
    schema.add_field("s", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("bm", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("n", DataType.INT64, nullable=True)
    schema.add_function(Function("f", FunctionType.BM25, ["text"], ["bm"]))
    params = MilvusClient.prepare_index_params()
    params.add_index("v", index_type, metric_type=metric)
    client = MilvusClient(":memory:")
    client.create_collection(NAME, schema=schema, index_params=params)
    return client


@pytest.fixture(scope="module")
def low_thresholds():
    """Make graphs worth while at a fiftieth of the usual size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BackgroundUpkeep, "thresholds", Thresholds(graph_rows=100, graph_values=0))
        prefer_candidates(patch, 2)
        yield


KINDS = [(i, m) for i in ("FLAT", "HNSW", "AUTOINDEX") for m in ("COSINE", "L2", "IP")]


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def stored(request, low_thresholds):
    """A client, its rows and its metric; rows were deleted before and after the graph was built."""
    index_type, metric = request.param
    rows = make_rows()
    with make_client(index_type, metric) as client:
        client.insert(NAME, list(rows.values()))
        client.delete(NAME, ids=list(range(100, 200)))
        client.load_collection(NAME)
        assert (graph_of(client) is not None) == (index_type != "FLAT")
        client.delete(NAME, filter="id >= 1000 and id < 1200 or id in [0, 50]")
        # The tail is not in the graph.
        late = {i: {**rows[i - 1900], "id": i} for i in range(2_000, 2_060)}
        client.insert(NAME, list(late.values()))
        gone = {*range(100, 200), *range(1000, 1200), 0, 50}
        rows = {i: r for i, r in (rows | late).items() if i not in gone}
        yield client, rows, metric
        assert client.verify() == []


def graph_of(client):
    return client._database.commits.read(
        NAME,
        lambda s: next((p.graph for k, p in s.view.parts.items() if hasattr(p, "graph")), None),
    )


def score(metric, x, q):
    """In float64, added up without error: the engine may differ in the last bit of float32."""
    x, q = [float(np.float32(a)) for a in x], [float(np.float32(b)) for b in q]
    if metric == "L2":
        return math.fsum((a - b) ** 2 for a, b in zip(x, q, strict=True))
    dot = math.fsum(a * b for a, b in zip(x, q, strict=True))
    lengths = math.fsum(a * a for a in x) * math.fsum(b * b for b in q)
    return dot / math.sqrt(lengths) if metric == "COSINE" else dot


def queries(count=4):
    rng = np.random.default_rng(99)
    rows = make_rows()
    return [
        (np.array(rows[int(i)]["v"]) + 0.1 * rng.normal(size=D)).astype(np.float32).tolist()
        for i in rng.integers(0, N, size=count)
    ]


def found(client, field, query, limit, **options):
    [hits] = client.search(NAME, [query], anns_field=field, limit=limit, **options)
    return [(hit["id"], hit["distance"]) for hit in hits]


@filters
def test_dense_hits_are_as_many_as_match_and_all_match(stored, text):
    client, rows, metric = stored
    matching = {k for k, r in rows.items() if SELECTIVITY[text](r)}
    sign = 1 if metric == "L2" else -1
    for query, (limit, offset) in product(queries(2), SIZES):
        hits = found(client, "v", query, limit, filter=text, offset=offset)
        assert len(hits) == min(limit, max(0, len(matching) - offset))
        assert {key for key, _ in hits} <= matching
        assert len({key for key, _ in hits}) == len(hits)
        assert hits == sorted(hits, key=lambda hit: (sign * hit[1], hit[0]))
        for key, distance in hits[:10]:
            assert distance == pytest.approx(score(metric, rows[key]["v"], query), rel=1e-6)


def test_the_nearest_of_the_matches_are_found(stored):
    client, rows, metric = stored
    sign = 1 if metric == "L2" else -1
    right = total = 0
    for query in queries(20):
        nearest = sorted((sign * score(metric, r["v"], query), k) for k, r in rows.items())
        for text, keep in SELECTIVITY.items():
            expected = [(s, k) for s, k in nearest if keep(rows[k])][:10]
            hits = found(client, "v", query, 10, filter=text)
            if graph_of(client) is None:
                # Rounding to float32 may swap near neighbours, but let nobody further in.
                limits = [s + 1e-6 * abs(s) for s, _ in expected]
                assert all(sign * d <= s for (_, d), s in zip(hits, limits, strict=True))
            right += len({k for _, k in expected} & {key for key, _ in hits})
            total += len(expected)
    assert right >= 0.95 * total


def test_scores_do_not_depend_on_the_path_that_found_a_hit(stored):
    client, _, _ = stored
    for query in queries():
        best = dict(found(client, "v", query, 40))
        one_by_one = {k: found(client, "v", query, 1, filter=f"id == {k}")[0][1] for k in best}
        together = client.search(NAME, [query, *queries()], anns_field="v", limit=40)[0]
        assert best == one_by_one
        assert best == {hit["id"]: hit["distance"] for hit in together}


def test_equal_vectors_score_alike_and_stand_in_the_order_of_their_keys(stored):
    client, rows, _ = stored
    for twin in (250, 300, 1500):
        first, second = found(client, "v", rows[twin]["v"], 2, filter=f"id in [{twin + 1}, {twin}]")
        assert (first[0], second[0]) == (twin, twin + 1)
        assert first[1] == second[1]


@filters
def test_text_hits_are_the_best_of_the_matches(world, stored, text):
    client, rows, _ = stored
    for query in ("red", "sea fox owl", "red red tea nothing"):
        expected = world.text(rows, "text", query, SELECTIVITY[text])
        for limit, offset in SIZES:
            hits = found(client, "bm", query, limit, filter=text, offset=offset)
            assert hits == expected[offset : offset + limit]


@filters
def test_sparse_hits_are_the_best_of_the_matches(world, stored, text):
    client, rows, _ = stored
    for query in ({1: 1.0, 7: 2.0}, {29: 1.0}, {3: -1.0, 4: 0.5, 5: 2.0}):
        expected = world.sparse(rows, "s", query, SELECTIVITY[text])
        for limit, offset in SIZES:
            hits = found(client, "s", query, limit, filter=text, offset=offset)
            assert hits == expected[offset : offset + limit]


@filters
def test_hybrid_hits_all_match_and_are_as_many_as_the_legs_can_give(world, stored, text):
    client, rows, _ = stored
    keep = SELECTIVITY[text]
    matching = {k for k, r in rows.items() if keep(r)}
    [query] = queries(1)
    reqs = [world.request("v", query, 20), world.request("bm", "sea fox", 20)]
    [hits] = client.hybrid_search(NAME, reqs, limit=1_000, filter=text)
    keys = {hit["id"] for hit in hits}
    of_text = {k for k, _ in world.text(rows, "text", "sea fox", keep)[:20]}
    of_vectors = {k for k, _ in found(client, "v", query, 20, filter=text)}
    assert keys <= matching
    assert len(of_vectors) == min(20, len(matching))
    assert keys == of_text | of_vectors


def test_a_graph_answers_where_there_is_one_and_never_under_flat(stored, monkeypatch):
    client, _, _ = stored
    asked = []
    for kind in (Graph, Codes):
        candidates = kind.candidates
        monkeypatch.setattr(kind, "candidates", lambda *a, f=candidates: asked.append(1) or f(*a))
    found(client, "v", queries(1)[0], 10)
    assert bool(asked) == (graph_of(client) is not None)

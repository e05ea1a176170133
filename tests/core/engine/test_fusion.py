"""Hybrid search against naive fusion of its legs, computed from the formulas."""

import math
import time
from itertools import pairwise, product
from statistics import pstdev

import pytest

from elanus import (
    AnnSearchRequest,
    CombMNZRanker,
    DataType,
    MilvusClient,
    MinMaxRanker,
    ParamError,
    RRFRanker,
    WeightedRanker,
    ZScoreRanker,
)
from elanus.query import RankedLeg, fuse
from elanus.schema import Metric

QUERY = [3, -1, 2, 0]
TEXT = "red sea fox"
SPARSE = {1: 1.0, 2: -0.5, 4: 2.0}

# As Milvus has them: the value of a score under the weighted ranker with norm_score.
NORMAL = {
    "COSINE": lambda s: (1 + s) / 2,
    "IP": lambda s: 0.5 + math.atan(s) / math.pi,
    "BM25": lambda s: 2 * math.atan(s) / math.pi,
    "L2": lambda s: 1 - 2 * math.atan(s) / math.pi,
}


@pytest.fixture(scope="module")
def rows(world):
    words = ["red", "sea", "fox", "blue", "the"]
    made = {}
    for i in range(60):
        v = [(i * 7) % 5 - 2, (i * 3) % 4 - 1, i % 3, 1]
        made[i] = world.row(
            i,
            text=" ".join(words[(i * j) % 5] for j in range(i % 6)),
            v=v,
            w=None if i % 9 == 0 else v[::-1],
            s={i % 5: 1.0, 5: 0.5} if i % 4 else {},
            n=None if i % 10 == 0 else i % 7,
        )
    return made


@pytest.fixture(scope="module", params=list(product(["COSINE", "IP", "L2"], ["L2", "IP"])))
def searched(request, world, rows):
    """A client whose fields have these metrics, and the metric of each field."""
    v, w = request.param
    with MilvusClient(":memory:") as client:
        world.create(client, v=("FLAT", v), w=("HNSW", w))
        client.insert(world.NAME, list(rows.values()))
        yield client, {"v": v, "w": w, "bm": "BM25", "s": "IP"}


@pytest.fixture
def fused(world, rows, searched):
    """Runs a hybrid search, and says what each leg had to give."""
    client, metrics = searched

    def run(fields, ranker, limit=10, offset=0, depth=20, keeps=None, **options):
        reqs, legs = [], []
        for place, field in enumerate(fields):
            expr, keep = (keeps or {}).get(place, (None, world.everything))
            most = depth + place
            query = {"bm": TEXT, "s": SPARSE}.get(field, QUERY)
            reqs.append(world.request(field, query, most, expr=expr))
            if field == "bm":
                leg = world.text(rows, "text", TEXT, keep)
            elif field == "s":
                leg = world.sparse(rows, "s", SPARSE, keep)
            else:
                leg = world.dense(rows, field, metrics[field], QUERY, keep)
            legs.append((metrics[field], leg[:most]))
        [hits] = client.hybrid_search(
            world.NAME, reqs, ranker, limit=limit, offset=offset, **options
        )
        return hits, legs

    return run


def weighted(legs, weights, *, norm):
    """Σ weight · value; without norm_score, raw scores, distances turned round."""
    mixed = len({metric == "L2" for metric, _ in legs}) > 1
    total = {}
    for (metric, leg), weight in zip(legs, weights, strict=True):
        for key, score in leg:
            if norm or (metric == "L2" and mixed):
                value = NORMAL[metric](score)
            else:
                value = -score if metric == "L2" else score
            total[key] = total.get(key, 0.0) + weight * value
    return sorted(total.items(), key=lambda hit: (-hit[1], hit[0]))


ALL = ["v", "w", "bm", "s"]
SOME = [["v", "bm"], ["v", "w"], ["s", "bm"], ALL, ["v"], ["v", "v"]]


@pytest.mark.parametrize("fields", SOME)
@pytest.mark.parametrize("k", [60, 1, 0.5, 16383])
def test_rrf_equals_the_formula(world, fused, fields, k):
    hits, legs = fused(fields, RRFRanker(k), limit=100)
    assert world.pairs(hits) == world.rrf([leg for _, leg in legs], k)


def test_rrf_is_the_default_ranker_with_k_60(world, fused):
    assert world.pairs(fused(ALL, None)[0]) == world.pairs(fused(ALL, RRFRanker(60))[0])


def test_rrf_takes_a_weight_for_each_leg(world, fused):
    hits, legs = fused(["v", "bm"], RRFRanker(10, (0.25, 3.0)), limit=100)
    total = {}
    for weight, (_, leg) in zip((0.25, 3.0), legs, strict=True):
        for rank, (key, _) in enumerate(leg, 1):
            total[key] = total.get(key, 0.0) + weight / (10 + rank)
    assert world.pairs(hits) == world.in_order(total.items())


@pytest.mark.parametrize("fields", SOME)
@pytest.mark.parametrize("norm", [True, False])
def test_weighted_equals_the_formula_for_every_metric(world, fused, fields, norm):
    weights = [0.7, 0.3, 1.0, 0.0][: len(fields)]
    hits, legs = fused(fields, WeightedRanker(*weights, norm_score=norm), limit=100)
    assert world.pairs(hits) == weighted(legs, weights, norm=norm)


def from_last_to_first(metric, scores):
    """0 for the worst of a leg's hits, 1 for the best; 1 each if all are alike."""
    good = [-s if metric == "L2" else s for s in scores]
    low, high = min(good, default=0), max(good, default=0)
    return [(s - low) / (high - low) if high > low else 1.0 for s in good]


def in_deviations(metric, scores):
    """Deviations above the worst of a leg's hits; 1 each if all are alike."""
    good = [-s if metric == "L2" else s for s in scores]
    deviation = pstdev(good) if good else 0.0
    return [(s - min(good)) / deviation if deviation else 1.0 for s in good]


def scaled(legs, weights, scale, *, times_legs=False):
    """Σ weight · scaled score, and that times the number of legs that found the hit."""
    total, found_by = {}, {}
    for (metric, leg), weight in zip(legs, weights or [1.0] * len(legs), strict=True):
        for (key, _), value in zip(leg, scale(metric, [s for _, s in leg]), strict=True):
            total[key] = total.get(key, 0.0) + weight * value
            found_by[key] = found_by.get(key, 0) + 1
    return {key: score * (found_by[key] if times_legs else 1) for key, score in total.items()}


SCALED = {
    MinMaxRanker: (from_last_to_first, False),
    ZScoreRanker: (in_deviations, False),
    CombMNZRanker: (from_last_to_first, True),
}


@pytest.mark.parametrize("fields", SOME)
@pytest.mark.parametrize("ranker", SCALED)
@pytest.mark.parametrize("weights", [(), (0.7, 2.0, 0.0, 1.0)])
@pytest.mark.parametrize("depth", [20, 1, 3])
def test_scaled_scores_equal_the_formula_for_every_metric(fused, fields, ranker, weights, depth):
    weights = weights[: len(fields)]
    hits, legs = fused(fields, ranker(*weights), limit=100, depth=depth)
    scale, times_legs = SCALED[ranker]
    expected = scaled(legs, weights, scale, times_legs=times_legs)
    assert {hit["id"]: hit["distance"] for hit in hits} == pytest.approx(expected, abs=1e-12)
    for a, b in pairwise(hits):
        assert (-a["distance"], a["id"]) < (-b["distance"], b["id"])


@pytest.mark.parametrize("ranker", SCALED)
def test_a_leg_that_finds_nothing_adds_nothing(world, fused, ranker):
    nothing = {1: ("n > 1000", lambda _: False)}
    alone, _ = fused(["v"], ranker(), limit=100)
    beside, legs = fused(["v", "bm"], ranker(), limit=100, keeps=nothing)
    assert [len(leg) for _, leg in legs] == [20, 0]
    assert world.pairs(alone) == world.pairs(beside)


def test_two_legs_scale_to_what_a_hand_calculation_gives():
    """Inner products 4, 2, 1 with v and 3, 1 with w, of which row 3 has none.

    Min-max: 1, 1/3, 0 and 1, 0. Deviation of 4, 2, 1 is √(14/9), of 3 and 1 it is 1.
    """
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=1)
    schema.add_field("w", DataType.FLOAT_VECTOR, dim=1, nullable=True)
    params = MilvusClient.prepare_index_params()
    for name in "vw":
        params.add_index(name, "FLAT", metric_type="IP")
    with MilvusClient(":memory:") as client:
        client.create_collection("c", schema=schema, index_params=params)
        rows = [(1, 4, 1), (2, 2, 3), (3, 1, None)]
        client.insert("c", [{"id": i, "v": [v], "w": w and [w]} for i, v, w in rows])
        asked = [AnnSearchRequest([[1.0]], name, {}, 10) for name in "vw"]
        for ranker, expected in (
            (MinMaxRanker(), {2: 4 / 3, 1: 1.0, 3: 0.0}),
            (MinMaxRanker(3, 1), {1: 3.0, 2: 2.0, 3: 0.0}),
            (CombMNZRanker(), {2: 8 / 3, 1: 2.0, 3: 0.0}),
            (ZScoreRanker(), {2: 3 / math.sqrt(14) + 2, 1: 9 / math.sqrt(14), 3: 0.0}),
        ):
            [hits] = client.hybrid_search("c", asked, ranker)
            assert [hit["id"] for hit in hits] == list(expected)
            assert [hit["distance"] for hit in hits] == pytest.approx(list(expected.values()))


@pytest.mark.parametrize(
    ("ranker", "strategy", "weights"),
    [
        (MinMaxRanker(0.5, 2), "min_max", [0.5, 2.0]),
        (ZScoreRanker(), "z_score", []),
        (CombMNZRanker(1), "comb_mnz", [1.0]),
    ],
)
def test_a_ranker_tells_its_parameters(ranker, strategy, weights):
    assert ranker.dict() == {"strategy": strategy, "params": {"weights": weights}}


def test_offset_skips_the_first_fused_hits(world, fused):
    everything, _ = fused(ALL, RRFRanker(), limit=100)
    for offset, limit in [(0, 3), (2, 5), (len(everything) - 1, 10), (1000, 10)]:
        page, _ = fused(ALL, RRFRanker(), limit=limit, offset=offset)
        assert page == everything[offset : offset + limit]


def test_equal_fused_scores_are_in_the_order_of_their_keys(world, fused):
    hits, legs = fused(ALL, WeightedRanker(0.0, 0.0, 0.0, 0.0), limit=100)
    assert {hit["distance"] for hit in hits} == {0.0}
    assert [hit["id"] for hit in hits] == sorted({key for _, leg in legs for key, _ in leg})


@pytest.mark.parametrize(
    "ranker",
    [
        RRFRanker(),
        WeightedRanker(0.5, 0.2, 0.9, 1.0),
        MinMaxRanker(),
        ZScoreRanker(1, 2, 3, 4),
        CombMNZRanker(),
    ],
)
def test_explanations_name_rank_and_score_of_each_leg_and_add_up(fused, ranker):
    hits, legs = fused(ALL, ranker, limit=100, explain=True)
    ranks = {field: {k: i for i, (k, _) in enumerate(leg, 1)}
             for field, (_, leg) in zip(ALL, legs, strict=True)}  # fmt: skip
    scores = {field: dict(leg) for field, (_, leg) in zip(ALL, legs, strict=True)}
    for hit in hits:
        said = hit["explanation"]
        assert sum(leg["contribution"] for leg in said) == hit["distance"]
        assert all(leg["reason"] for leg in said)
        if isinstance(ranker, RRFRanker):
            assert [x["reason"] for x in said] == [f"1 / (60 + rank {x['rank']})" for x in said]
        assert [leg["leg"] for leg in said] == [f for f in ALL if hit["id"] in ranks[f]]
        for leg in said:
            assert leg["rank"] == ranks[leg["leg"]][hit["id"]]
            assert leg["score"] == scores[leg["leg"]][hit["id"]]


def test_without_explain_hits_have_no_explanation(fused):
    hits, _ = fused(ALL, RRFRanker())
    assert all(list(hit) == ["id", "distance", "entity"] for hit in hits)


def test_each_request_has_its_own_filter_and_limit(world, fused):
    keeps = {
        0: ("n > 3", lambda r: r["n"] is not None and r["n"] > 3),
        1: ("n <= 3", lambda r: r["n"] is not None and r["n"] <= 3),
    }
    hits, legs = fused(["v", "bm"], RRFRanker(), limit=100, depth=4, keeps=keeps)
    assert [len(leg) for _, leg in legs] == [4, 5]
    assert world.pairs(hits) == world.rrf([leg for _, leg in legs])


def test_the_common_filter_holds_for_every_request_besides_its_own(world, rows, searched):
    client, metrics = searched
    reqs = [world.request("v", QUERY, 9, expr="n < 5"), world.request("bm", TEXT, 9)]
    [hits] = client.hybrid_search(
        world.NAME, reqs, limit=50, filter="n >= {least}", filter_params={"least": 2}
    )

    def common(row):
        return row["n"] is not None and row["n"] >= 2

    legs = [
        world.dense(rows, "v", metrics["v"], QUERY, lambda r: common(r) and r["n"] < 5)[:9],
        world.text(rows, "text", TEXT, common)[:9],
    ]
    assert world.pairs(hits) == world.rrf(legs)


def test_several_queries_are_fused_one_by_one(world, rows, searched):
    client, _ = searched
    queries, texts = [QUERY, [0, 1, 0, 1], [-1, 0, 0, 2]], ["red", "fox", "nothing"]
    both = [
        world.AnnSearchRequest(queries, "v", {}, 12),
        world.AnnSearchRequest(texts, "bm", {}, 12),
    ]
    together = client.hybrid_search(world.NAME, both, limit=8)
    for i, hits in enumerate(together):
        reqs = [world.request("v", queries[i], 12), world.request("bm", texts[i], 12)]
        assert client.hybrid_search(world.NAME, reqs, limit=8) == [hits]


@pytest.mark.parametrize(
    "ranker",
    [
        WeightedRanker(0.5),
        WeightedRanker(0.5, 0.5, 0.5),
        MinMaxRanker(1),
        ZScoreRanker(1, 1, 1),
        CombMNZRanker(1),
    ],
)
def test_another_number_of_weights_than_requests_is_an_error(fused, ranker):
    with pytest.raises(ParamError, match="weights for 2 requests"):
        fused(["v", "bm"], ranker)


def test_requests_with_different_numbers_of_queries_are_an_error(world, searched):
    client, _ = searched
    reqs = [world.AnnSearchRequest([QUERY, QUERY], "v", {}, 5), world.request("bm", TEXT, 5)]
    with pytest.raises(ParamError, match="as many queries"):
        client.hybrid_search(world.NAME, reqs)


def test_output_fields_come_with_fused_hits(world, rows, searched):
    client, _ = searched
    reqs = [world.request("v", QUERY, 5), world.request("bm", TEXT, 5)]
    [hits] = client.hybrid_search(world.NAME, reqs, output_fields=["n", "v"])
    for hit in hits:
        assert hit["entity"] == {"n": rows[hit["id"]]["n"], "v": rows[hit["id"]]["v"]}


def test_the_work_for_explanations_does_not_grow_with_the_square_of_the_hits():
    """A quarter of a second; ten and more if each hit is looked for among all."""
    count = 20_000
    scores = [1.0] * count
    legs = [
        RankedLeg("a", Metric.IP, list(range(count)), scores),
        RankedLeg("b", Metric.IP, list(range(2 * count - 1, count - 1, -1)), scores),
    ]
    fusion = fuse(legs, RRFRanker(k=1))
    begun = time.process_time()
    said = [fusion.explain(id_) for id_ in range(2 * count)]
    assert time.process_time() - begun < 4
    assert [(one.leg, one.rank) for (one,) in said] == [
        *(("a", rank) for rank in range(1, count + 1)),
        *(("b", rank) for rank in range(count, 0, -1)),
    ]

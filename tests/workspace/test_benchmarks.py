"""The benchmarks run, print every row, and judge rightly; how fast anything is is not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"


def run(script, *arguments, status=0):
    command = [sys.executable, FOLDER / script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


def cells(page):
    """The rows of every table of a page, by their first cell."""
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    split = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first: others for first, *others in split}


@pytest.fixture(scope="module")
def benchmarks():
    """The modules that the scripts share."""
    sys.path.insert(0, str(FOLDER))
    try:
        import _data  # noqa: PLC0415  # scripts in a folder of their own, no package
        import _measure  # noqa: PLC0415
        import _targets  # noqa: PLC0415
        import compare  # noqa: PLC0415
    finally:
        sys.path.remove(str(FOLDER))
    return {"data": _data, "measure": _measure, "targets": _targets, "compare": compare}


@pytest.fixture(scope="module")
def real(tmp_path_factory, benchmarks):
    """A folder in the form of real embeddings: 150 documents and 8 queries."""
    folder = tmp_path_factory.mktemp("data")
    corpus = benchmarks["data"].synthetic(150, 8, dim=16)
    np.save(folder / "vectors.f16.npy", corpus.vectors.astype(np.float16))
    np.save(folder / "qvectors.npy", corpus.queries)
    for name, texts in (("texts", corpus.texts), ("qtexts", corpus.words)):
        lines = [json.dumps(f"{text}. More of it") for text in texts]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


# --- the scripts -------------------------------------------------------------------------------

SEARCHES = [f"dense, ef {ef}" for ef in (64, 128, 256, 512)]
SEARCHES += [f"filter keeps {share} %" for share in ("50", "10", "1", "0.1")]
SEARCHES += ["text", "hybrid", "2 threads, ef 128", "batch of 100, ef 64"]
WHOLE = ["insert, s", "insert until all answers, s", "then build, s", "insert and build, s"]
WHOLE += ["close, s", "disk, MB", "reopen to first answer, s", "import, s"]
WHOLE += ["hits that filters lack", "memory added, MB"]


def test_the_short_benchmark_prints_the_machine_and_every_row():
    page, _ = run("short.py", "--documents", 300, "--queries", 6)
    rows = cells(page)
    assert set(SEARCHES + WHOLE) <= rows.keys()
    assert rows["dense, ef 64"][2] == "1"  # so few rows are scanned
    assert rows["hits that filters lack"] == ["0"]
    for word in (
        "Machine:",
        "System:",
        "numpy",
        "turbovec",
        "Commit:",
        "Date:",
        "Load",
        "Command:",
    ):
        assert word in page


def test_the_long_benchmark_measures_every_target_also_of_documents_that_it_makes(real, tmp_path):
    found = tmp_path / "runs.json"
    page, _ = run("peers.py", real, "ours", "--n", 100, 250, "--runs", 1, "--json", found)
    rows = cells(page)
    assert {f"{name}: p50 ms" for name in SEARCHES[:10]} <= rows.keys()
    assert rows["hits that filters lack"] == ["≤ 0", "0", "met in 1 of 1"]
    assert rows["ours, text: p50 ms"][0] == "≤ 4"
    assert str(real) not in page
    runs = json.loads(found.read_text(encoding="utf-8"))
    assert runs.keys() == {"100", "250"}
    assert runs["250"][0]["ours"]["dense, ef 64: recall"] == 1


def test_every_target_is_of_a_row_that_is_measured(benchmarks):
    targets = benchmarks["targets"]
    page, _ = run("_workload.py", "--help")
    assert "corpus" in page
    rows = {f"{name}: {part}" for name in SEARCHES for part in ("p50 ms", "p95 ms", "recall")}
    rows |= {"2 threads, ef 128: queries/s", *WHOLE}
    rows |= {f"dense at recall {recall}: p50 ms" for recall in (0.975, 0.99)}
    assert {target.row for target in targets.TARGETS} | targets.GROWTH.keys() <= rows


def test_the_quality_of_text_search_is_the_mean_gain_of_each_judged_query(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    documents = [("1", "owl owl"), ("2", "an owl sat there"), ("3", "kites")]
    queries = [("a", "owls"), ("b", "the kite"), ("c", "not judged")]
    for name, rows in (("corpus", documents), ("queries", queries)):
        lines = [json.dumps({"_id": i, "title": "", "text": text}) for i, text in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    judged = ["query-id\tcorpus-id\tscore", "a\t2\t1", "a\t1\t0", "b\t3\t1"]
    (folder / "qrels.tsv").write_text("\n".join(judged), encoding="utf-8")
    page, _ = run("text_quality.py", tmp_path, "--steps")
    rows = [line.split("|")[1:5] for line in page.splitlines() if line.startswith("| small")]
    found = {name.strip(): (queries.strip(), gain.strip()) for _, name, queries, gain in rows}
    # The document that was meant is second for a, and first for b: (1 / log2(3) + 1) / 2.
    assert found["english"] == found["multilingual"] == ("2", "0.8155")
    assert list(found)[1:4] == ["stems by script", "and no question words", "and folded"]


def test_a_wrong_question_is_measured_with_and_without_typing_errors(tmp_path):
    judged, timed = tmp_path / "small", tmp_path / "many"
    rows = {"corpus": ["a penguin swims", "kites"], "queries": ["a penguin"]}
    for folder in (judged, timed):
        folder.mkdir()
    for name, texts in rows.items():
        lines = [json.dumps({"_id": str(n), "text": text}) for n, text in enumerate(texts)]
        (judged / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (judged / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n0\t0\t1", encoding="utf-8")
    texts = [
        f"the kite number {n} of the birds that soar high over all of the hills" for n in range(60)
    ]
    for name, strings in (("texts", texts), ("qtexts", ["soaring over"])):
        written = "\n".join(map(json.dumps, strings))
        (timed / f"{name}.jsonl").write_text(written, encoding="utf-8")
    page, _ = run("wording.py", tmp_path)
    found = cells(page)
    assert found["small"] == ["1", "1.0000", "0.0000", "1.0000"]
    assert [found[name][2] for name in ("words", "one error", "one error, typos=True")] == [
        *("10.0", "10.0", "10.0"),
    ]
    assert found['phrase "of the"'][2] == "10.0"


def test_a_system_that_is_not_installed_is_named_before_anything_is_measured(real):
    code = "import sys, runpy; sys.modules['zvec'] = None; sys.argv = sys.argv[1:]; "
    code += "sys.path.insert(0, 'benchmarks'); runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, str(FOLDER / "peers.py"), str(real), "zvec"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1
    assert "pip install zvec" in done.stderr
    _, error = run("peers.py", real, "nothing", status=1)
    assert "'nothing' is no system: name some of ours, ours-auto, zvec" in error


def test_a_commit_compares_with_itself_and_leaves_no_worktree(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    sizes = ("--documents", 200, "--queries", 4, "--rounds", 1)
    page, _ = run("compare.py", "HEAD", "HEAD", *sizes, "--tolerance", 1000)
    rows = cells(page)
    assert {"dense, ef 64: p50 ms", "text: p95 ms", *WHOLE} <= rows.keys()
    assert rows["dense, ef 64: recall"] == ["1", "1", "1", "1 … 1", ""]
    trees = subprocess.run(["git", "worktree", "list"], cwd=ROOT, capture_output=True, check=True)
    assert tmp_path.name not in trees.stdout.decode()
    assert list(tmp_path.iterdir()) == []


def test_a_comparison_imports_the_package_of_the_checkout(tmp_path):
    package = tmp_path / "core" / "src" / "elanus"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('the other one')", encoding="utf-8")
    sizes = ("--documents", 50, "--queries", 2, "--rounds", 1)
    _, error = run("compare.py", tmp_path, ROOT, *sizes, status=1)
    assert "the other one" in error
    _, error = run("compare.py", "no-such-commit", ROOT, status=1)
    assert "'no-such-commit' is neither a commit nor a checkout" in error


def test_memory_is_measured_at_rest_in_several_processes_and_while_a_graph_is_built():
    page, _ = run("memory.py", "--documents", 300, "--processes", 2)
    rows = cells(page)
    stages = ["inserted", "most while the graph is built", "graph built"]
    stages += ["most while another is built and swapped", "swapped"]
    names = [*stages, "1 process", "2 processes together"]
    assert {f"{name}: {kind}" for name in names for kind in ("RSS", "PSS")} <= rows.keys()
    assert float(rows["on disk, cache included"][0]) > float(rows["vectors and texts alone"][0])


def test_the_two_bindings_of_sqlite_are_measured_by_the_same_statements():
    page, _ = run("bindings.py", "--rows", 600, "--rounds", 1)
    rows = cells(page)
    assert {"insert all rows", "read ten rows by number", "backup"} <= rows.keys()
    assert all(float(ratio) > 0 for _, _, ratio in [rows["VACUUM"], rows["commit one row"]])


def test_threads_batches_and_processes_are_measured_for_each_kind_of_search():
    page, _ = run("threads.py", "--documents", 300, "--queries", 4, "--seconds", 0.02)
    tables = page.split("\n\n")[1:]
    assert [list(cells(table))[2:] for table in tables] == [
        ["dense", "dense, filter keeps 10 %", "text", "hybrid"],
        ["dense", "dense, filter keeps 10 %", "text"],
        ["dense", "dense, filter keeps 10 %", "text", "hybrid"],
    ]


def test_embedding_is_measured_in_each_way_for_each_kind_of_text():
    page, _ = run("embedding.py", "--rounds", 1, "--texts", 2, "--busy", 1)
    rows = cells(page)
    ways = ["own threads", "BLAS's threads", "torch"]
    assert rows["texts a second"][:3] == ways
    kinds = ("a query", "titles", "passages", "long", "one long")
    rates = np.array([[float(cell.replace(",", "")) for cell in rows[k][:5]] for k in kinds])
    assert (rates > 0).all()
    np.testing.assert_allclose(rates[:, 3:], rates[:, :1] / rates[:, 1:3], rtol=0.02)


def test_the_planner_s_costs_are_measured_for_each_size():
    page, _ = run("planner.py", "--n", 200, 400, "--dim", 8, "--queries", 3)
    costs, filters, sizes = page.split("\n\n")[1:]
    assert "candidate / row" in costs
    assert list(cells(costs))[2:] == list(cells(filters))[2:] == ["200", "400"]
    assert list(cells(sizes))[2:] == ["8"]


def test_codes_are_measured_by_size_and_by_kind_of_vectors():
    page, _ = run("codes.py", "--n", 1000, 5000, "--queries", 4)
    sizes, kinds = page.split("\n\n")[1:]
    assert list(cells(sizes))[2:] == ["1,000", "5,000"]
    recalls = [line.split("|")[3].strip() for line in kinds.splitlines()[2:] if line]
    assert len(recalls) == 18
    assert all(float(recall) >= 0.9 for recall in recalls)


# --- what they are made of ---------------------------------------------------------------------


def test_made_data_are_the_same_each_time_and_queries_are_no_documents(benchmarks):
    one, two = (benchmarks["data"].synthetic(60, 5, dim=12) for _ in range(2))
    assert one.texts == two.texts
    assert (one.vectors == two.vectors).all()
    assert one.vectors.shape == (60, 12)
    assert one.queries.shape == (5, 12)
    assert np.abs(np.linalg.norm(one.vectors, axis=1) - 1).max() < 1e-5
    assert set(one.words) & set(one.texts) == set()


def test_exact_answers_are_those_of_brute_force(benchmarks):
    corpus = benchmarks["data"].synthetic(80, 4, dim=6)
    for share in (1.0, 0.5, 0.05):
        for query, found in zip(corpus.queries, corpus.exact(share), strict=True):
            allowed = [i for i in range(80) if corpus.numbers[i] < share * 1_000_000]
            scores = {i: sum(map(float, corpus.vectors[i] * query)) for i in allowed}
            assert found == set(sorted(allowed, key=lambda i, s=scores: -s[i])[:10])


def test_a_corpus_comes_back_as_it_was_saved(benchmarks, tmp_path):
    corpus = benchmarks["data"].synthetic(20, 3, dim=4)
    corpus.save(tmp_path)
    again = benchmarks["data"].Corpus.load(tmp_path)
    assert again.texts == corpus.texts
    assert again.words == corpus.words
    for name in ("vectors", "numbers", "queries"):
        assert (getattr(again, name) == getattr(corpus, name)).all()


def test_made_documents_stand_behind_the_real_ones_and_near_to_them(benchmarks, real):
    few = benchmarks["data"].from_folder(real, 150, 8)
    many = benchmarks["data"].from_folder(real, 400, 8)
    assert many.texts[:150] == few.texts
    assert (many.vectors[:150] == few.vectors).all()
    assert len(many.texts) == len(many.vectors) == len(many.numbers) == 400
    made = many.vectors[150:]
    nearest = (made @ few.vectors.T).max(axis=1)
    assert nearest.min() > 0.9
    assert nearest.max() < 1 - 1e-6
    assert {part for text in many.texts for part in text.split(". ")} == {
        part for text in few.texts for part in text.split(". ")
    }


def test_a_folder_that_lacks_a_file_is_an_error_that_names_it(benchmarks, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no vectors\.npy and no vectors\.f16\.npy"):
        benchmarks["data"].from_folder(tmp_path, 10, 1)


@pytest.mark.parametrize(
    ("row", "a", "b", "worse"),
    [
        ("text: p50 ms", [1, 1, 9], [1.2, 1.2, 1.2], True),
        ("text: p50 ms", [1, 1, 1], [1.1, 1.1, 9], False),
        ("2 threads: queries/s", [100, 100], [80, 80], True),
        ("2 threads: queries/s", [80, 80], [100, 100], False),
        ("dense: recall", [1.0], [0.8], True),
        ("build, s", [0.0001], [0.004], False),
        ("build, s", [1.0], [1.2], True),
        ("hits that filters lack", [0], [1], True),
    ],
)
def test_a_comparison_judges_the_medians_by_the_tolerance(benchmarks, row, a, b, worse):
    runs = [[{row: float(value)} for value in values] for values in (a, b)]
    rows, slower = benchmarks["compare"].compared(*runs, tolerance=1.15)
    assert [name for name, *_ in rows] == [row]
    assert slower == ([row] if worse else [])


def test_a_target_is_met_only_in_every_run_and_only_where_its_peer_was_measured(benchmarks):
    targets = benchmarks["targets"]
    row = "text: p50 ms"
    half = targets.Target(row, targets.Limit(0.5, "zvec"))
    runs = [{"ours": {row: ours}, "zvec": {row: 1.0}} for ours in (0.4, 0.6)]
    assert targets.judged(half, "ours", runs[:1]) == [row, "≤ 0.5 × zvec", "0.4", "met in 1 of 1"]
    assert targets.judged(half, "ours", runs)[2:] == ["0.4, 0.6", "**missed** in 1 of 2"]
    alone = targets.judged(half, "ours", [{"ours": {row: 0.4}}])
    assert alone[3] == "not measured: needs zvec"
    beside = targets.Target(row, targets.Limit(1.0, "by-hand", plus=0.06))
    run = {"ours": {row: 0.45}, "by-hand": {row: 0.4}}
    assert targets.judged(beside, "ours", [run])[1:3] == ["≤ by-hand + 0.06", "+0.050"]
    lost = targets.judged(half, "ours", [{"ours": {}, "zvec": {row: 1.0}}])
    assert lost[3] == "**missed** in 1 of 1"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0, "0"),
        (0.00012, "0.0001"),
        (0.1234, "0.123"),
        (12.34, "12.3"),
        (1234.5, "1,234"),
    ],
)
def test_figures_have_three_digits_and_no_exponent(benchmarks, value, shown):
    assert benchmarks["measure"].figure(value) == shown


def test_lists_under_filters_are_measured(real):
    page, _ = run("filtered_lists.py", real, "--documents", 150, "--queries", 4)
    rows = [line for line in page.splitlines() if line.startswith(("| 64 ", "| 128 "))]
    assert len(rows) == 6
    assert all("150, 1.0000" in row for row in rows if "10%" in row)  # the list holds every row

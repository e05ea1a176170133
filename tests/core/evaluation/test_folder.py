"""Folders in the shape of BEIR: what is read, and what is said of one that is wrong."""

from __future__ import annotations

import gzip
import lzma

import pytest

from elanus import Document, DocumentStore
from elanus.errors import DataNotMatchException, ParamError
from elanus.evaluation import Questions, read_beir

DOCUMENTS = (
    Document("d1", "Kites\nThey soar.", {"title": "Kites", "year": 1}),
    Document("d2", "Owls hunt.\nAt night."),
    Document("d3", ""),
)
QRELS = b"q1\td1\t1\n"


def test_a_folder_gives_documents_and_questions_in_the_order_of_the_files(write_folder):
    folder = write_folder()
    data = read_beir(folder)
    assert data.name == data.questions.name == folder.name
    assert data.documents == DOCUMENTS
    assert data.questions == Questions(
        {"q2": "owls?", "q1": "kites?"}, {"q1": {"d1": 2, "d2": 0}, "q2": {"d2": 1}}, folder.name
    )
    assert data.questions.ids == ("q2", "q1")
    assert data.questions.relevant("q1") == {"d1"}
    assert data.questions.made_of == ""


@pytest.mark.parametrize(("end", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_packed_files_are_read_as_they_are_plain(write_folder, end, pack):
    folder = write_folder()
    plain = read_beir(folder)
    for name in ("corpus.jsonl", "queries.jsonl", "qrels.tsv"):
        (folder / f"{name}{end}").write_bytes(pack((folder / name).read_bytes()))
        (folder / name).unlink()
        assert read_beir(str(folder)) == plain


def test_a_header_a_byte_order_mark_blank_lines_and_windows_lines_mean_nothing(write_folder):
    plain = read_beir(write_folder())
    other = {}
    for name in ("corpus.jsonl", "queries.jsonl", "qrels.tsv"):
        lines = (write_folder() / name).read_bytes().splitlines()
        other[name] = b"\xef\xbb\xbf" + b"\r\n\r\n".join(lines) + b"\r\n"
    assert read_beir(write_folder(**other)) == plain
    bare = b"q1\td1\t2\nq1\td2\t0\nq2\td2\t1"
    assert read_beir(write_folder(**{"qrels.tsv": bare})) == plain


def test_a_split_is_one_of_the_files_and_must_be_named_if_there_are_several(write_folder):
    splits = {"qrels.tsv": None, "qrels/test.tsv": QRELS}
    folder = write_folder(**splits)
    assert read_beir(folder).questions == read_beir(folder, "test").questions
    # Only the questions of the split are there, and of those the ones with an answer.
    assert read_beir(folder).questions.ids == ("q1",)
    write_folder(**splits, **{"qrels/dev.tsv": b"q2\td2\t1\nq1\td1\t0\n"})
    assert read_beir(folder, split="dev").questions.ids == ("q2",)
    with pytest.raises(
        ParamError, match=r"qrels/dev\.tsv.*qrels/test\.tsv.*say which one with split"
    ):
        read_beir(folder)
    with pytest.raises(ParamError, match=r"train\.tsv is not in it"):
        read_beir(folder, "train")


def test_a_dataset_goes_into_a_store_as_it_is(write_folder, embedding):
    data = read_beir(write_folder())
    with DocumentStore(":memory:", embedding) as store:
        data.add_to(store)
        assert list(store) == list(data.documents)
    with DocumentStore(":memory:", dim=2) as store:
        data.add_to(store, vectors=[[1, 0], [0, 1], [1, 1]])
        assert store.get("d2", with_vectors=True)[0].vector.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("corpus.jsonl", b'{"_id": "d1", "text": "x"}\n{"_id"\n', "line 2: is no JSON"),
        ("corpus.jsonl", b'{"_id": "d1", "text": "\xff"}\n', "line 1: is no JSON"),
        ("corpus.jsonl", b"\n[]\n", "line 2: must be a JSON object; got"),
        ("corpus.jsonl", b'{"text": "x"}\n', "line 1: _id must be a string; got none"),
        ("corpus.jsonl", b'{"_id": 5, "text": "x"}\n', "line 1: _id must be a string; got 5"),
        ("corpus.jsonl", b'{"_id": "", "text": "x"}\n', "line 1: _id must not be empty"),
        ("corpus.jsonl", b'{"_id": "d1"}\n', "line 1: text must be a string; got none"),
        (
            "corpus.jsonl",
            b'{"_id": "d", "text": "", "title": 1}\n',
            "line 1: title must be a string",
        ),
        (
            "corpus.jsonl",
            b'{"_id": "d", "text": "", "metadata": []}',
            "line 1: metadata must be an",
        ),
        ("corpus.jsonl", b'{"_id":"d","text":""}\n' * 2, "line 2: _id 'd' is that of line 1, too"),
        ("queries.jsonl", b'{"_id": "q1", "text": null}\n', "line 1: text must be a string; got"),
        ("qrels.tsv", b"q1 d1 1\n", "line 1: must be query, document and grade .* got 1 cells"),
        ("qrels.tsv", b"q1\t0\td1\t1\n", "line 1: .*got 4 cells"),
        ("qrels.tsv", b"q1\td1\tx\n", "line 1: the grade must be an integer; got 'x'"),
        ("qrels.tsv", b"q1\td1\t0.5\n", "line 1: the grade must be an integer; got '0.5'"),
        ("qrels.tsv", QRELS + b"q9\td1\t1\n", "line 2: query 'q9' is not among the queries"),
        ("qrels.tsv", QRELS + b"q1\td9\t1\n", "line 2: document 'd9' is not in the corpus"),
        ("qrels.tsv", QRELS * 2, "line 2: 'd1' is judged twice for 'q1'"),
        ("qrels.tsv", b"q1\t\xff\t1\n", "line 1: is not UTF-8"),
        ("qrels.tsv", b"q1\td1\t0\n", "no document is relevant to any query"),
        ("qrels.tsv", b"", "no document is relevant to any query"),
    ],
)
def test_a_wrong_line_is_named_with_its_file(write_folder, name, content, says):
    folder = write_folder(**{name: content})
    with pytest.raises(DataNotMatchException, match=says) as caught:
        read_beir(folder)
    assert str(folder / name) in str(caught.value)


@pytest.mark.parametrize(("end", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
@pytest.mark.parametrize("damage", ["cut off", "other bytes"])
def test_a_damaged_archive_is_named(write_folder, end, pack, damage):
    packed = pack((write_folder() / "corpus.jsonl").read_bytes())
    broken = packed[:-12] if damage == "cut off" else b"no archive at all"
    folder = write_folder(**{f"corpus.jsonl{end}": broken})
    (folder / "corpus.jsonl").unlink()
    with pytest.raises(
        DataNotMatchException, match=rf"corpus\.jsonl{end}, line \d: cannot be read"
    ):
        read_beir(folder)


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("corpus.jsonl", r"corpus\.jsonl is not in it"),
        ("queries.jsonl", r"queries\.jsonl is not in it"),
        ("qrels.tsv", r"has neither qrels\.tsv nor qrels/\*\.tsv"),
    ],
)
def test_a_missing_file_is_named(write_folder, missing, says):
    with pytest.raises(ParamError, match=says):
        read_beir(write_folder(**{missing: None}))


def test_two_files_for_one_are_refused(write_folder):
    folder = write_folder(**{"corpus.jsonl.gz": b""})
    with pytest.raises(ParamError, match=r"corpus\.jsonl is in it more than once"):
        read_beir(folder)


def test_wrong_arguments_are_named(write_folder):
    with pytest.raises(ParamError, match="folder must be a path"):
        read_beir(5)
    with pytest.raises(ParamError, match=r"folder '.*nowhere': there is none of this name"):
        read_beir(write_folder() / "nowhere")
    with pytest.raises(ParamError, match="split must be a string"):
        read_beir(write_folder(), 5)


class Named:
    """A path object that names what no path is."""

    def __init__(self, name):
        self.name = name

    def __fspath__(self):
        return self.name


@pytest.mark.parametrize("folder", [b"x", Named(b"x"), Named(5)])
def test_a_folder_is_named_by_text(folder):
    with pytest.raises(ParamError, match="folder must be a path"):
        read_beir(folder)


@pytest.mark.parametrize("name", ["a" * 5_000, "a/" * 5_000, "a\0b", "\ud800"])
def test_a_folder_that_cannot_be_is_not_there(name):
    with pytest.raises(
        ParamError, match=r"folder '.*(there is none of this name|no path can hold)"
    ) as caught:
        read_beir(name)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("split", "says"),
    [
        ("../qrels/test", "must be the name of a file in qrels/, without a folder"),
        ("/etc/passwd", "must be the name of a file in qrels/, without a folder"),
        ("..\\qrels\\test", "must be the name of a file in qrels/, without a folder"),
        ("a" * 300, "is not in it"),
        ("a\0b", "is not in it"),
        ("\ud800", "without lone surrogates"),
        ("", "is not in it"),
        (".", "is not in it"),
    ],
)
def test_a_split_is_a_name_and_no_way_out_of_the_folder(write_folder, split, says):
    folder = write_folder(**{"qrels.tsv": None, "qrels/test.tsv": QRELS})
    with pytest.raises(ParamError, match=says) as caught:
        read_beir(folder, split)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("texts", "judgements", "says"),
    [
        ({}, {}, "there is no question"),
        ([], {}, "texts must be a dict"),
        ({"q": "x"}, {}, r"judgements\['q'\]: no document has a grade of 1 or more"),
        ({"q": "x"}, {"q": {"d": 0, "e": -1}}, "no document has a grade of 1 or more"),
        ({"q": "x"}, {"q": {"d": 1}, "p": {"d": 1}}, "question 'p' is not among the texts"),
        ({"q": "x"}, {"q": {"d": True}}, "must be an integer"),
        ({"q": "x"}, {"q": {"d": 0.5}}, "must be an integer"),
        ({"q": "x"}, {"q": {5: 1}}, "the id of a document must be a string"),
        ({"q": "x"}, {"q": ["d"]}, r"judgements\['q'\] must be a dict"),
        ({"q": 5}, {"q": {"d": 1}}, r"texts\['q'\] must be a string"),
        ({5: "x"}, {5: {"d": 1}}, "an id of a question must be a string"),
    ],
)
def test_wrong_questions_are_named(texts, judgements, says):
    with pytest.raises(ParamError, match=says):
        Questions(texts, judgements)


def test_questions_keep_what_was_checked(questions):
    texts, grades = {"q": "x"}, {"q": {"d": 1}}
    made = Questions(texts, grades)
    texts["p"], grades["q"]["d"] = "y", 0
    assert made == Questions({"q": "x"}, {"q": {"d": 1}})
    assert len(questions) == 4

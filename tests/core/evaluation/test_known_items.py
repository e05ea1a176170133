"""Questions made of documents: which text they take, and of which documents."""

from __future__ import annotations

import pytest

from elanus import Document, DocumentStore
from elanus.errors import ParamError
from elanus.evaluation import known_item_queries

TEXT = "Kites soar often."


def taken(text, made_of="first sentence", **metadata):
    return known_item_queries([Document("d", text, metadata)], made_of).texts["d"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Kites soar. Owls hunt.", "Kites soar."),
        ("  Do kites soar? They do.", "Do kites soar?"),
        ("Version 3.11 is out! Rejoice.", "Version 3.11 is out!"),
        ("Dr. Smith keeps owls. He likes them.", "Dr. Smith keeps owls."),
        ("A heading of words\nThen a text.", "A heading of words"),
        ("No end  of a\tsentence", "No end of a sentence"),
        ("赤鸢在开阔的山丘上空翱翔。仓鸮在夜间捕鼠。", "赤鸢在开阔的山丘上空翱翔。"),
        ("x" * 1000, "x" * 300),
    ],
)
def test_the_first_sentence_of_a_text(text, sentence):
    assert taken(text) == sentence


def test_a_title_before_the_text_is_no_sentence_of_it():
    assert taken("On kites\nThey soar often. And far.", title="On kites") == "They soar often."


def test_titles_are_the_metadata_of_that_name():
    assert taken("They soar often.", "title", title="A book  of\nkites") == "A book of kites"


def test_each_question_has_its_own_document_for_its_only_answer(birds):
    found = known_item_queries(birds)
    assert found.judgements == {d.id: {d.id: 1} for d in birds}
    assert found.texts == {d.id: d.text for d in birds}
    assert found.made_of == "the first sentence of each of 5 documents"
    assert found.name == "known items"


def test_texts_that_several_documents_share_or_that_are_short_or_missing_are_left_out():
    titles = ["Kites and owls", "kites AND owls", "Owl", "", 5, None, "Owls alone"]
    documents = [Document(str(i), "text", {"title": t}) for i, t in enumerate(titles)]
    documents.append(Document("7", "text"))
    assert known_item_queries(documents, "title").texts == {"6": "Owls alone"}


def test_the_choice_is_random_by_its_seed_and_in_the_order_of_the_documents():
    documents = [Document(f"{i:03}", f"This is text number {i}.") for i in range(100)]
    one, same, other = (known_item_queries(documents, count=10, seed=s).ids for s in (0, 0, 1))
    assert one == same != other
    assert len(one) == 10
    assert list(one) == sorted(one)
    assert known_item_queries(documents, count=1000).ids == tuple(d.id for d in documents)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"documents": 5}, "documents must be a store or a list of documents"),
        ({"documents": ["text"]}, "documents must be of type Document"),
        ({"documents": [Document([], TEXT)]}, r"documents\[0\]: the id must be a string, got \[\]"),
        ({"documents": [Document(None, TEXT)]}, r"documents\[0\]: the id must be a string"),
        (
            {"documents": [Document("a", TEXT), Document("b", 5)]},
            r"\[1\]: the text must be a string, got 5",
        ),
        (
            {"documents": [Document("a", None, {"title": "x"})]},
            "the text must be a string, got None",
        ),
        ({"documents": [Document("a", TEXT, None)]}, "the metadata must be a dict, got None"),
        (
            {"documents": [Document("a", TEXT, [1])], "made_of": "title"},
            "the metadata must be a dict",
        ),
        ({"documents": []}, "none of 0 has a first sentence"),
        ({"made_of": "titles"}, "made_of must be 'first sentence' or 'title'"),
        ({"made_of": "title"}, r"none of 1 has a title \(the metadata 'title'\) of 8 characters"),
        ({"count": 0}, "count must be an integer"),
        ({"seed": -1}, "seed must be an integer"),
    ],
)
def test_wrong_arguments_are_named(arguments, says):
    with pytest.raises(ParamError, match=says):
        known_item_queries(**{"documents": [Document("d", "Kites soar often.")], **arguments})


def test_a_store_has_a_title_key_of_its_own():
    with DocumentStore(":memory:", title="headline") as store:
        store.add(
            ["On red kites\nThey soar often. And far.", "Owls hunt."],
            [{"headline": "On red kites", "title": "Page 17 of it"}, {"title": "On barn owls"}],
            ["kite", "owl"],
        )
        assert known_item_queries(store, "title").texts == {"kite": "On red kites"}
        assert known_item_queries(store).texts == {"kite": "They soar often.", "owl": "Owls hunt."}
        assert known_item_queries(list(store), "title").texts["owl"] == "On barn owls"
        store.delete("kite")
        with pytest.raises(ParamError, match=r"has a title \(the metadata 'headline'\)"):
            known_item_queries(store, "title")

"""What was found by phrases, beginnings and in spite of typing errors is what is marked."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus import AsyncMilvusClient, DocumentStore, MilvusClient, build_analyzer
from elanus.errors import ParamError

TEXTS = [
    "A red kite soars. The kite is red; red kites soar.",
    "Owls receive mice, and recite.",
    "Kitchens are warm, kittens warmer.",
    "机器学习和学习机器",
    "用Python 写代码很好",
]


@pytest.fixture(scope="module")
def store():
    with DocumentStore(":memory:") as store:
        store.add(TEXTS)
        yield store


def marked(store, text, query, **options):
    """The text with brackets around what is marked."""
    parts = store.highlight(text, query, 10_000, 1, **options)
    return parts[0].marked("[", "]") if parts else ""


@pytest.mark.parametrize(
    ("number", "query", "expected"),
    [
        (0, '"red kites"', "A [red kite] soars. The kite is red; [red kites] soar."),
        (0, '"red kites" red', "A [red kite] soars. The kite is [red]; [red kites] soar."),
        (0, '"kite is" soars', "A red kite [soars]. The [kite is] red; red kites [soar]."),
        (0, 'who sees the "red kite"', "A [red kite] soars. The kite is red; [red kites] soar."),
        (0, '"red; red"', "A red kite soars. The kite is [red; red] kites soar."),
        (0, '"kite red"', ""),
        (0, '"red kites', "A [red] [kite] soars. The [kite] is [red]; [red] [kites] soar."),
        (0, '"?!" soar', "A red kite [soars]. The kite is red; red kites [soar]."),
        (3, "“机器学习”", "[机器学习]和学习机器"),
        (3, "「学习」", "机器[学习]和[学习]机器"),
        (4, '"Python 写"', "用[Python 写]代码很好"),
        (4, '"代码"', "用Python 写[代码]很好"),
    ],
)
def test_a_phrase_is_marked_as_a_whole_and_only_there(store, number, query, expected):
    assert marked(store, TEXTS[number], query, phrases=True) == expected


def test_without_the_option_quotes_mean_nothing(store):
    expected = "A [red] [kite] soars. The [kite] is [red]; [red] [kites] soar."
    assert marked(store, TEXTS[0], '"red kites"') == expected


@pytest.mark.parametrize(
    ("number", "query", "options", "expected"),
    [
        (2, "warm kit", ["prefix"], "[Kitchens] are [warm], [kittens] warmer."),
        (2, "kit warm", ["prefix"], "Kitchens are [warm], kittens [warmer]."),
        (0, "red kit", ["prefix"], "A [red] [kite] soars. The [kite] is [red]; [red] [kites] soar."),
        (1, "recieve", ["typos"], "Owls [receive] mice, and recite."),
        (1, "recete", ["typos"], "Owls receive mice, and [recite]."),
        # A document has it, so it stands for no other word.
        (0, "kitten", ["typos"], ""),
        (1, "recipe", ["typos", "prefix"], "Owls receive mice, and [recite]."),
        (0, '"red kite" sooar', ["phrases", "typos"],
         "A [red kite] [soars]. The kite is red; [red kites] [soar]."),
        (2, '"are warm" kit', ["phrases", "prefix"], "[Kitchens] [are warm], [kittens] warmer."),
        # What ends in quotes does not go on.
        (0, 'soar "red kit"', ["phrases", "prefix"],
         "A red kite [soars]. The kite is red; red kites [soar]."),
    ],
)  # fmt: skip
def test_words_that_stand_for_others_mark_those(store, number, query, options, expected):
    assert marked(store, TEXTS[number], query, **dict.fromkeys(options, True)) == expected


def test_what_a_word_stands_for_changes_with_the_documents(open_store):
    store = open_store()
    store.add(["An owl receives"], ids=["a"])
    assert marked(store, "owls receive", "recieve", typos=True) == "owls [receive]"
    store.add(["I recieve"], ids=["b"])
    assert marked(store, "owls receive", "recieve", typos=True) == ""
    store.delete("b")
    assert marked(store, "owls receive", "recieve", typos=True) == "owls [receive]"


def test_a_question_of_many_quotes_is_read_once(store):
    """A third of a second; eight and more if all that follows is looked at behind each quote."""
    query = '"kite" ' * 200_000
    begun = time.process_time()
    assert marked(store, TEXTS[0], query + "so", phrases=True, prefix=True)
    assert time.process_time() - begun < 3


@pytest.mark.parametrize("options", [{"typos": True}, {"prefix": True}, {"phrases": True}])
def test_each_hit_has_a_mark_and_nothing_else_has(store, options):
    for query in ("kitt", "recieve", "red kit", '"red kites"', "warn", "学习", '"are warm"', "sor"):
        found = {hit.id for hit in store.search(query, mode="text", **options)}
        assert found == {d.id for d in store if store.highlight(d, query, **options)}


words = st.text(st.sampled_from("aAb9.'- \n机器学ガｱé\u0301"), max_size=20)


@given(text=words, phrase=words, name=st.sampled_from(["english", "standard", "whitespace"]))
def test_a_phrase_has_a_mark_if_and_only_if_the_text_holds_it(text, phrase, name):
    analyzer = build_analyzer(name)
    terms = analyzer.tokens(phrase)
    spans = analyzer.spans(text, (), [phrase])
    assert bool(spans) == bool(terms and analyzer.holding([text], [(terms, 0)])[0, 0])
    edges = [edge for s in spans for edge in (s.start, s.end)]
    assert edges == sorted(set(edges))
    # Each mark holds the phrase itself.
    assert all(analyzer.holding([text[s.start : s.end]], [(terms, 0)])[0, 0] for s in spans)


@pytest.mark.parametrize("name", ["phrases", "prefix", "typos"])
def test_the_options_are_true_or_false(store, name):
    with pytest.raises(ParamError, match=f"{name} must be True or False, got 'yes'"):
        store.highlight("kite", "kite", **{name: "yes"})


async def test_the_coroutine_takes_them_too(store):
    (part,) = await store.ahighlight(TEXTS[1], "recieve", typos=True)
    assert part.marked("[", "]") == "Owls [receive] mice, and recite."


# --- of the client -----------------------------------------------------------------------------


def test_the_client_says_what_the_words_of_a_query_stand_for(store):
    def terms(query, **options):
        return sorted(store.client.query_terms("documents", "terms", query, **options))

    assert terms("the red zebra") == ["red"]
    assert terms("kit") == []
    assert terms("kit", prefix=True) == ["kitchen", "kite", "kitten"]
    assert terms("recete", typos=True) == ["recit"]
    assert terms("") == terms("", prefix=True, typos=True) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"anns_field": "text"}, "no BM25 function fills the field 'text'; filled by one: terms"),
        ({"anns_field": "term"}, "no field 'term'; .* did you mean 'terms'"),
        ({"query": 5}, r"query must be a string, got 5 \(int\)"),
        ({"prefix": 1}, "prefix must be True or False, got 1"),
        ({"typo": True}, "query_terms: .*typo"),
    ],
)
def test_wrong_arguments_of_the_client_are_refused(store, arguments, says):
    given = {"collection_name": "documents", "anns_field": "terms", "query": "a"}
    with pytest.raises(ParamError, match=says):
        store.client.query_terms(**given | arguments)


async def test_the_asynchronous_client_says_it_too(tmp_path):
    with DocumentStore(tmp_path / "a.db") as store:
        store.add(TEXTS)
    async with AsyncMilvusClient(str(tmp_path / "a.db")) as client:
        assert await client.query_terms("documents", "terms", "owl") == ["owl"]
    with MilvusClient(tmp_path / "a.db") as client:
        assert client.query_terms("documents", "terms", "owl") == ["owl"]

"""``ElanusEmbedding`` gives the vectors that a store gives to long and blank texts."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from reading import Reader

from elanus import DocumentStore, LongTextWarning, ParamError
from llama_index.vector_stores.elanus import ElanusEmbedding

TEXTS = ["a b", "a b c d e f g h", "", "b c", " \n", "h g f e d c b a " * 50]


class Mapped(Reader):
    """Gives its vectors in a dict, as functions of several kinds of vectors do."""

    def encode_documents(self, texts):
        return {"dense": super().encode_documents(texts), "sparse": None}


@pytest.mark.parametrize("kind", [Reader, Mapped])
@pytest.mark.parametrize("how", ["parts", "cut"])
async def test_texts_have_the_vectors_that_a_store_gives_them(how, kind):
    with DocumentStore(":memory:", Reader(how)) as store:
        ids = store.add(TEXTS)
        expected = np.array([d.vector for d in store.get(ids, with_vectors=True)])
    model = ElanusEmbedding(kind(how), embed_batch_size=2)
    np.testing.assert_array_equal(np.float32(model.get_text_embedding_batch(TEXTS)), expected)
    found = await model.aget_text_embedding_batch(TEXTS)
    np.testing.assert_array_equal(np.float32(found), expected)
    assert model.get_text_embedding(TEXTS[-1]) == expected[-1].tolist()
    assert all("" not in map(str.strip, texts) for texts in model.function.calls)


def test_each_model_warns_of_long_texts_once():
    model = ElanusEmbedding(Reader(), embed_batch_size=6)
    copied = pickle.loads(pickle.dumps(model))  # noqa: S301  # made in this line
    for each in (model, copied):
        with pytest.warns(LongTextWarning, match="2 of 6 texts are longer than 'reader' reads"):
            first = each.get_text_embedding_batch(TEXTS)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert each.get_text_embedding_batch(TEXTS) == first
    with pytest.raises(ParamError, match="embedding 'reader': long_texts must be 'parts' or 'cut'"):
        ElanusEmbedding(Reader("some"))


def test_a_function_that_is_assigned_embeds_documents_too():
    model, cut = ElanusEmbedding(Reader("parts")), Reader("cut")
    copied = model.model_copy(update={"function": cut})
    assert copied.get_text_embedding(TEXTS[1]) == Reader.vector("a b").astype("f4").tolist()
    assert len(cut.calls) == 1
    assert (
        model.get_text_embedding(TEXTS[1])
        == np.float32(model.function.joined(TEXTS[1:2]))[0].tolist()
    )


def test_blank_texts_alone_need_the_dimension():
    model = ElanusEmbedding(Reader())
    assert model.get_text_embedding(" ") == [0.0] * Reader.dim
    assert model.function.calls == []

    class Nameless:
        def encode_documents(self, texts):
            return np.ones((len(texts), 3))

        encode_queries = encode_documents

    model = ElanusEmbedding(Nameless())
    assert model.get_text_embedding_batch(["", "a"]) == [[0.0] * 3, [1.0] * 3]
    with pytest.raises(
        ParamError, match="dim of 'Nameless', which blank texts need, must be an int"
    ):
        model.get_text_embedding("")

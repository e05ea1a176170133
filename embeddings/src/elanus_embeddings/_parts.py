"""The parts by which a text is embedded that is longer than its model reads."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from elanus.arguments import choice

LongTexts = Literal["parts", "cut"]

# Of what a model reads, by how much parts overlap.
_OVERLAP = 1 / 8
# A model that reads no more than this beside its prompt has nothing to gain by parts.
_FEWEST_TOKENS = 8


def checked_long_texts(value: LongTexts | None) -> LongTexts | None:
    """The argument ``long_texts`` of a constructor.

    Raises:
        ParamError: it is none of its values.
    """
    if value is None:
        return None
    return "cut" if choice("long_texts", value, ("parts", "cut")) == "cut" else "parts"


class Splitter:
    """Splits texts by the tokens of a model.

    Args:
        tokenizer: that of the model, with truncation and padding switched off for good: settings
            of a tokenizer are shared by all threads.
        most: tokens that the model reads, special ones included.
        prompt: what stands before each text.
    """

    def __init__(self, tokenizer: Tokenizer, most: int, prompt: str = "") -> None:
        self._tokenizer = tokenizer
        taken = len(tokenizer.encode(prompt, add_special_tokens=False).ids) if prompt else 0
        self._room = most - tokenizer.num_special_tokens_to_add(is_pair=False) - taken

    @property
    def room(self) -> int:
        """Tokens of a text that the model reads beside the special ones and its prompt."""
        return self._room

    def count(self, text: str) -> int:
        """The tokens of a text, without special ones."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def parts(self, text: str) -> list[str]:
        """The parts of a text; itself, alone, if the model reads it whole."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        if len(encoding.ids) <= self._room or self._room < _FEWEST_TOKENS:
            return [text]
        words = np.array([-1 if word is None else word for word in encoding.word_ids])
        offsets = encoding.offsets
        return [
            text[offsets[first][0] : offsets[stop - 1][1]]
            for first, stop in windows(np.diff(words, prepend=-2) != 0, self._room)
        ]


def windows(begins: npt.NDArray[np.bool_], room: int) -> list[tuple[int, int]]:
    """Windows over tokens, as even as can be: a short last one would weigh as much as the others.

    A window begins and ends between two words, unless there is no such place near: the pieces of a
    word that is cut are other tokens when they are read alone, and perhaps more. For the same
    reason some of the room is left.

    Args:
        begins: (tokens,) whether a word begins there; more tokens than there is room for.
        room: tokens of a window at most; at least 8.

    Returns:
        The first token of each window and the one after its last, in order; neighbours overlap by
        about an eighth of the room, or a sixteenth where that makes them begin with a word.
    """
    total = len(begins)
    overlap = max(1, int(room * _OVERLAP))
    near = overlap // 2
    most = room - near - near // 4
    count = math.ceil((total - overlap) / (most - overlap))
    length = math.ceil((total + (count - 1) * overlap) / count)
    places = np.arange(total)
    last_begin = np.maximum.accumulate(np.where(begins, places, 0))
    border = np.where(places - last_begin <= near, last_begin, places)
    starts = [(total - length) * i // (count - 1) for i in range(count)]
    stops = [int(border[start + length]) for start in starts[:-1]]
    return list(zip(border[starts].tolist(), [*stops, total], strict=True))

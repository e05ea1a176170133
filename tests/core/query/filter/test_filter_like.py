"""`like` against a matcher that follows every possibility, and on texts made to be slow."""

import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from elanus.query import bind, evaluate, parse_filter
from elanus.query.filter.patterns import _runs as _filter_runs


def tokens(pattern):
    found, at = [], 0
    while at < len(pattern):
        escaped = pattern[at] == "\\" and at + 1 < len(pattern)
        at += escaped
        found.append((pattern[at], escaped))
        at += 1
    return found


def fits(pattern, text):
    """Whether a text matches, by all places in the pattern that can be reached."""
    steps = tokens(pattern)

    def beyond_percent(places):
        reached = set(places)
        for place in range(len(steps)):
            if place in reached and steps[place] == ("%", False):
                reached.add(place + 1)
        return reached

    places = beyond_percent({0})
    for character in text:
        stay = {p for p in places if p < len(steps) and steps[p] == ("%", False)}
        taken = {
            p + 1
            for p in places - stay
            if p < len(steps) and steps[p] in (("_", False), (character, True), (character, False))
        }
        places = beyond_percent(stay | taken)
    return len(steps) in places


def matches(source, pattern):
    return evaluate(bind(parse_filter("s like {p}"), {"p": pattern}), source).tolist()


letters = st.sampled_from(list("aaab\n😀\0é%_\\"))
patterns = st.lists(
    st.one_of(letters, st.sampled_from(["%", "_", "__", "%_%", "\\%", "\\_", "\\\\"])), max_size=12
).map("".join)


@pytest.mark.parametrize("short", [0, 3, 128])
@settings(max_examples=400, deadline=None)
@given(patterns, st.lists(st.text(letters, max_size=30), max_size=6, unique=True))
@example("%a_b____%", ["bbaaaabb", "aab"])
@example("%_a_b__%b", ["bbaaaabb", "aab", "aaabaab"])
def test_a_pattern_matches_what_the_naive_matcher_matches(make_rows, short, pattern, texts):
    source = make_rows([{"s": text} for text in texts])
    with pytest.MonkeyPatch.context() as patch:
        # Short runs go through a regular expression, long ones through a correlation in blocks.
        patch.setattr(_filter_runs, "_SHORT", short)
        patch.setattr(_filter_runs, "_LEAST_BLOCK", 1)
        assert matches(source, pattern) == [fits(pattern, text) for text in texts]


@pytest.mark.parametrize("size", [127, 128, 129, 1000, 5000])
@pytest.mark.parametrize("alphabet", ["ab", "abcdefgh😀", "".join(map(chr, range(0x4E00, 0x5E00)))])
def test_a_long_run_is_found_at_its_place_and_nowhere_else(make_rows, size, alphabet):
    rng = np.random.default_rng(size)
    text = "".join(rng.choice(list(alphabet), 20_000))
    run = list(text[9_000 : 9_000 + size])
    for gap in {1, size // 2, size - 2}:
        run[gap] = "_"
    whole = "".join(run)
    other = "".join([*run[:-1], "X"])
    source = make_rows([{"s": text}])
    for pattern, expected in [
        (f"%{whole}%", True),
        (f"%{other}%", False),
        (f"{'_' * 9_000}{whole}%", True),
        (f"{'_' * 8_999}{whole}%", False),
        (f"%{whole}{'_' * (11_000 - size)}", True),
        (f"%{whole}{'_' * (11_001 - size)}", False),
        (f"%{text[8_990]}%{whole}%{text[-1]}", True),
        (f"%{whole}%{whole}%", False),
    ]:
        assert matches(source, pattern) == [expected]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("%" + "a_" * 8_000 + "c%", 0),
        ("%" + "a_" * 32_000 + "b", 0),
        ("%" + "_" * 30_000 + "b%", 0),
        ("%" + "_" * 60_000 + "_a%", 20),
        ("%" + "_%" * 30_000 + "b", 0),
        ("%" + "a%" * 30_000 + "b%", 0),
        ("%a_" * 20_000 + "%", 20),
        ("%" + ("%" + "a_" * 100) * 200 + "b", 0),
        ("%" + "a" * 30_000 + "b%", 0),
        ("a_" * 32_000 + "%b", 0),
    ],
)
def test_twenty_long_texts_take_no_minutes_whatever_the_pattern(make_rows, pattern, found):
    source = make_rows([{"s": "a" * 65_536 + str(number)} for number in range(20)])
    start = time.perf_counter()
    assert sum(matches(source, pattern)) == found
    # A matcher that tries every place takes 16 s for some of them, this one less than a second.
    assert time.perf_counter() - start < 10

"""Adaptive fusion, relevance and MMR from their formulas, in plain Python over words and vectors.

Shares no code with the library. Documents are given by key: their words, and their vectors.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from statistics import NormalDist, fmean, pstdev

K1, B = 1.2, 0.75
WEIGHT = 1.1


def idf(documents, frequency):
    return math.log(1 + (documents - frequency + 0.5) / (frequency + 0.5))


def bm25(words, query):
    """Score of each document that holds a word of the query; both are lists of words."""
    average = sum(map(len, words.values())) / max(len(words), 1)
    scores = {}
    for word, times in Counter(query).items():
        holding = {key: each.count(word) for key, each in words.items() if word in each}
        for key, tf in holding.items():
            norm = K1 * (1 - B + B * len(words[key]) / average)
            part = times * idf(len(words), len(holding)) * tf * (K1 + 1) / (tf + norm)
            scores[key] = scores.get(key, 0.0) + part
    return scores


def similarity(metric, one, other):
    dot = math.fsum(float(a) * float(b) for a, b in zip(one, other, strict=True))
    if metric == "IP":
        return dot
    lengths = math.hypot(*map(float, one)) * math.hypot(*map(float, other))
    return dot / lengths if lengths else 0.0


def in_order(scores, most=None):
    """Keys, best first; what differs by rounding only is in the order of the keys."""
    return sorted(scores, key=lambda key: (-round(scores[key], 6), key))[:most]


@dataclass(frozen=True)
class Leg:
    """What a leg knows of all documents: each one's score, and its score in deviations."""

    hits: list
    scores: dict
    standing: dict
    deviation: float
    documents: int
    possible: float | None = None  # of text legs: the score of a text with the whole query

    @property
    def is_text(self):
        return self.possible is not None


def text_leg(words, query, depth, allowed=None):
    """The documents by BM25; only the allowed keys may be found, and all count."""
    frequency = {word: sum(word in each for each in words.values()) for word in query}
    n, spread, possible = len(words), 0.0, 0.0
    for word, times in Counter(query).items():
        most = times * idf(n, frequency[word]) * (K1 + 1)
        possible += most
        if frequency[word]:
            p = min(frequency[word], n - 0.5) / n
            spread += (most / 2) ** 2 * p * (1 - p)
    deviation = max(1.2 * math.sqrt(spread), 1e-6)
    scores = dict.fromkeys(words, 0.0)
    found = {k: s for k, s in bm25(words, query).items() if allowed is None or k in allowed}
    scores |= found
    hits = in_order(found, depth)
    standing = {key: score / deviation for key, score in scores.items()}
    return Leg(hits, scores, standing, deviation, n, possible)


def covered(leg, keys):
    """The share of the query that the best of some documents covers."""
    return min(max(leg.scores[key] for key in keys) / max(leg.possible, 1e-6), 1.0)


def dense_leg(vectors, query, depth, allowed=None, metric="COSINE"):
    """The documents by similarity; None is no vector, and stands at the mean; so has zero no cosine."""
    if metric == "COSINE":
        vectors = {k: v if v is not None and any(v) else None for k, v in vectors.items()}
    every = {k: similarity(metric, v, query) for k, v in vectors.items() if v is not None}
    mean = fmean(every.values()) if every else 0.0
    deviation = max(pstdev(every.values()) if every else 0.0, 1e-3 * abs(mean), 1e-5)
    found = {k: s for k, s in every.items() if allowed is None or k in allowed}
    scores = dict.fromkeys(vectors, mean) | found
    standing = {key: (score - mean) / deviation for key, score in scores.items()}
    return Leg(in_order(found, depth), scores, standing, deviation, len(every))


@dataclass(frozen=True)
class Verdict:
    """Scores of the candidates, what each leg adds to them, and c, t and g."""

    scores: dict
    parts: list
    coverage: float = 0.0
    agreement: float = 0.0
    trust: float = 1.0


def adaptive(legs, weight=WEIGHT):
    """What the legs say together: Σ b + weight · g · max(z, 0)^1.5, or the mean of z."""
    candidates = sorted({key for leg in legs for key in leg.hits})
    texts = [leg for leg in legs if leg.is_text]
    dense = [leg for leg in legs if not leg.is_text]
    if not candidates:
        return Verdict({}, [{} for _ in legs])
    found = {key for leg in texts for key in leg.hits}
    b = {key: sum(leg.standing[key] for leg in texts) for key in candidates}
    c = max((covered(leg, candidates) for leg in texts), default=0.0)
    t, g = 0.0, 1.0
    asked = sum(b[key] for key in found)
    if asked and dense:
        z = {key: fmean(leg.standing[key] for leg in dense) for key in found}
        t = sum(b[key] * z[key] for key in found) / asked
        g = max(min(t / 1.5, 1.0), 0.0, 1.0 - c / 0.2)
    parts = []
    for leg in legs:
        part = {key: leg.standing[key] for key in candidates}
        if not leg.is_text:
            if asked:
                part = {key: weight * g * max(z, 0.0) ** 1.5 for key, z in part.items()}
            part = {key: each / len(dense) for key, each in part.items()}
        parts.append(part)
    scores = {key: sum(part[key] for part in parts) for key in candidates}
    return Verdict(scores, parts, c, t, g)


def answers(values):
    """Lists of values that are alike, the largest first: each is no further than that from the next."""
    found = []
    for value in sorted(values, reverse=True):
        if found and found[-1][-1] - value <= 1e-4:
            found[-1].append(value)
        else:
            found.append([value])
    return found


def share_of_answers(values):
    """How many of the forty largest are there once, all but the last, which may go on."""
    best = sorted(values, reverse=True)[:40]
    *apart, last = answers(best)
    return len(apart) / (len(best) - len(last)) if apart else 1 / len(last)


def relevance(legs):
    """Of each candidate; the rivals of each are looked for anew, and its copies are none."""
    verdict = adaptive(legs)
    scores = {key: max(score, 0.0) for key, score in verdict.scores.items()}
    n = max(leg.documents for leg in legs)
    if scores and not all(leg.is_text for leg in legs):
        n = round(n * share_of_answers(sum(leg.standing[key] for leg in legs) for key in scores))
        n = max(n, 30)
    chance = NormalDist().inv_cdf(1 - 3 / n) if n > 6 else 0.0
    only_text = all(leg.is_text for leg in legs)
    has_text = any(leg.is_text for leg in legs)
    if verdict.coverage and not only_text:
        floor = chance + WEIGHT * chance**1.5
    else:
        floor = 1.5 * chance if only_text else chance
    found, apart = {}, answers(scores.values())
    for key, score in scores.items():
        (own,) = (best for best, *others in apart if score in (best, *others))
        others = [best for best, *_ in apart if best != own]
        rival = max(sum(others[:3]) / 3, floor)
        lead = (score - rival) / max(score, rival, 0.1)
        c = math.sqrt(verdict.coverage)
        if not verdict.coverage:
            odds = -5.94 + 0.64 * score + 7.65 * lead
        elif only_text:
            odds = -6.88 + 0.25 * math.log(1 + score) + 6.08 * c + 14.83 * c * lead
        else:
            first = max(scores, key=lambda each: round(scores[each], 9))
            z = fmean(leg.standing[first] for leg in legs if not leg.is_text)
            odds = -1.61 - 1.22 * math.log(1 + scores[first]) + c * (4.52 + 12.35 * lead)
            odds += 0.568 * verdict.trust * (max(z, 0.0) - 3)
        found[key] = 1 / (1 + math.exp(-odds))
        if not verdict.coverage and has_text:
            found[key] = 0.0 if only_text else found[key] / 2
    return found


def spread_out(scores):
    """Scores mapped to [0, 1] from the last to the first; 1 each if all are alike."""
    low, high = min(scores), max(scores)
    return [(s - low) / (high - low) if high > low else 1.0 for s in scores]


def worths(relevances, vectors, chosen, share):
    """What each candidate is worth to MMR after some were chosen; None for those."""
    found = []
    for i, vector in enumerate(vectors):
        like = [similarity("COSINE", vector, vectors[c]) for c in chosen]
        worth = share * relevances[i] - (1 - share) * max(like) if like else relevances[i]
        found.append(None if i in chosen else worth)
    return found


def mmr(relevances, vectors, k, share):
    """Places of the candidates that MMR chooses; of equal ones (by nine digits) the first."""
    chosen = []
    while len(chosen) < min(k, len(vectors)):
        found = [
            w if w is None else round(w, 9) for w in worths(relevances, vectors, chosen, share)
        ]
        chosen.append(found.index(max(each for each in found if each is not None)))
    return chosen

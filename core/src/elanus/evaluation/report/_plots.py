"""Plots as SVG inside the page: shapes with classes, whose colours are in the style."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from elanus.evaluation._legs import Overlap, Reliability

_WIDTH, _HEIGHT = 320, 210
_BINS = 10


@dataclass(frozen=True, slots=True)
class _Frame:
    """The rectangle of a plot, in pixels, and the values at its edges."""

    left: float
    top: float
    right: float
    bottom: float
    x_end: float
    y_start: float
    y_end: float

    def x(self, value: float) -> float:
        return self.left + (self.right - self.left) * value / self.x_end

    def y(self, value: float) -> float:
        share = (value - self.y_start) / (self.y_end - self.y_start)
        return self.bottom - (self.bottom - self.top) * share

    def rows(self, values: Iterable[float], label: str) -> str:
        """Lines across, with their values."""
        return "".join(
            _line(self.left, self.y(v), self.right, self.y(v), "axis")
            + _text(self.left - 6, self.y(v) + 4, label.format(v), anchor="end")
            for v in values
        )

    def columns(self, values: Iterable[float], label: str) -> str:
        """Values below."""
        return "".join(
            _text(self.x(v), self.bottom + 19, label.format(v), anchor="middle") for v in values
        )

    def named(self, x: str) -> str:
        """What goes from left to right."""
        return _text((self.left + self.right) / 2, self.bottom + 35, x, anchor="middle")


def gains_plot(differences: NDArray[np.float64]) -> str:
    """Questions from the greatest gain to the greatest loss, as one filled outline each."""
    ordered = np.sort(differences)[::-1]
    end = max(_rounded_up(float(np.abs(differences).max())), 0.1)
    frame = _Frame(44, 12, _WIDTH - 18, _HEIGHT - 44, len(ordered), -end, end)
    body = frame.rows((-end, -end / 2), "{:.2g}") + frame.rows((0,), "0")
    body += frame.rows((end / 2, end), "+{:.2g}")
    for name, values in (("gain", np.maximum(ordered, 0)), ("loss", np.minimum(ordered, 0))):
        body += _outline(frame, values, name)
    body += frame.columns((0, len(ordered)), "{:,.0f}") + frame.named("questions, sorted")
    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    return _svg(f"gains and losses by question: {better} better, {worse} worse", body)


def overlap_plot(found: Overlap) -> str:
    """How many questions have how much of their hits in common."""
    place = np.minimum((found.shared * _BINS).astype(np.int64), _BINS - 1)
    counts = np.bincount(place, minlength=_BINS)
    top = _counts_end(int(counts.max()))
    frame = _Frame(44, 12, _WIDTH - 18, _HEIGHT - 44, _BINS, 0, top)
    body = frame.rows((0, top / 2, top), "{:,.0f}")
    body += _bars(frame, counts.tolist(), "first")
    body += "".join(
        _text(frame.x(n), frame.bottom + 19, f"{n * 10} %", anchor="middle")
        for n in range(0, _BINS + 1, 2)
    )
    body += frame.named(f"share of the first {found.k} hits that both have")
    return _svg("questions by the share of hits that both legs have", body)


def sources_plot(found: Overlap) -> str:
    """Which leg finds the relevant documents, as one bar."""
    parts = sources(found)
    total = max(sum(count for _, _, count in parts), 1)
    frame = _Frame(0, 0, _WIDTH, 32, total, 0, 1)
    body, start = "", 0
    for name, _, count in parts:
        body += _rect(frame.x(start), 0, frame.x(start + count) - frame.x(start), 32, name)
        start += count
    said = ", ".join(f"{label}: {count}" for _, label, count in parts)
    return _svg(f"relevant documents by who finds them: {said}", body, 32)


def sources(found: Overlap) -> Sequence[tuple[str, str, int]]:
    """Class, words and number of each part of the bar."""
    return (
        ("gain", "both", found.both),
        ("first", f"only {found.first}", found.only_first),
        ("second", f"only {found.second}", found.only_second),
        ("none", "neither", found.neither),
    )


def reliability_plot(found: Reliability) -> str:
    """Observed by predicted relevance; the area of a point is its number of hits."""
    frame = _Frame(44, 12, _WIDTH - 18, _HEIGHT - 44, 1, 0, 1)
    body = frame.rows((0, 0.25, 0.5, 0.75, 1), "{:.2g}")
    body += _line(frame.x(0), frame.y(0), frame.x(1), frame.y(1), "guide")
    most = max(b.count for b in found.bins)
    for b in found.bins:
        radius = 2 + 7 * (b.count / most) ** 0.5
        tip = f"{b.count:,} hits: predicted {b.predicted:.2f}, observed {b.observed:.2f}"
        body += (
            f'<circle cx="{frame.x(b.predicted):.1f}" cy="{frame.y(b.observed):.1f}" '
            f'r="{radius:.1f}" class="first point"><title>{escape(tip)}</title></circle>'
        )
    body += frame.columns((0, 0.25, 0.5, 0.75, 1), "{:.2g}") + frame.named("predicted relevance")
    return _svg("share of hits judged relevant, by predicted relevance", body)


# --- shapes ------------------------------------------------------------------------------------


def _svg(label: str, body: str, height: int = _HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label)}">{body}</svg>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, name: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{name}"/>'


def _rect(x: float, y: float, width: float, height: float, name: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" class="{name}"/>'
    )


def _text(x: float, y: float, words: str, *, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _bars(frame: _Frame, counts: Sequence[int], name: str) -> str:
    width = frame.x(1) - frame.x(0) - 2
    return "".join(
        _rect(frame.x(n) + 1, frame.y(count), width, frame.bottom - frame.y(count), name)
        for n, count in enumerate(counts)
    )


def _outline(frame: _Frame, values: NDArray[np.float64], name: str) -> str:
    """Steps of a sorted row and the line of zero; equal neighbours make one step."""
    starts = np.flatnonzero(np.diff(values, prepend=np.nan) != 0)
    ends = np.append(starts[1:], len(values))
    steps = "".join(
        f"V{frame.y(float(values[s])):.1f}H{frame.x(float(e)):.1f}"
        for s, e in zip(starts.tolist(), ends.tolist(), strict=True)
    )
    zero = f"{frame.y(0):.1f}"
    return f'<path d="M{frame.x(0):.1f} {zero}{steps}V{zero}Z" class="{name}"/>'


def _rounded_up(value: float) -> float:
    """To a tenth."""
    return float(np.ceil(value * 10 - 1e-9) / 10)


def _counts_end(most: int) -> int:
    """The next even number of two digits and zeros."""
    unit = 2 * int(10 ** max(len(str(most)) - 2, 0))
    return max(-(-most // unit) * unit, 2)

"""Figures: samples with a unit, and their medians and percentiles, as a table and as JSON."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity, measured `len(samples)` times."""

    part: str
    name: str
    unit: str
    samples: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    def as_dict(self) -> dict[str, object]:
        return {
            "part": self.part,
            "name": self.name,
            "unit": self.unit,
            "median": round(self.median, 4),
            "p95": round(percentile(self.samples, 95), 4),
            "samples": [round(sample, 4) for sample in self.samples],
        }


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that at least `percent` of all samples do not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def figures_table(figures: Sequence[Figure]) -> Table:
    """One row per figure, without p95 and range if there is only one sample."""
    table = Table("part", "figure", "median", "p95", "min", "max", "unit", "samples", box=None, pad_edge=False)
    for figure in figures:
        spread = [percentile(figure.samples, 95), min(figure.samples), max(figure.samples)]
        table.add_row(
            figure.part,
            figure.name,
            _formatted(figure.median),
            *(_formatted(value) if len(figure.samples) > 1 else "" for value in spread),
            figure.unit,
            str(len(figure.samples)),
        )
    return table


def _formatted(value: float) -> str:
    return f"{value:.3g}" if value < 10 else f"{value:,.1f}"

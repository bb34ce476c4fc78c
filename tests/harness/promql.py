"""What expressions of Prometheus name, and what Sluice exports, by its catalogue (`pipeline.telemetry`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import promql_parser
from promql_parser import AggregateExpr, BinaryExpr, Expr, MatrixSelector, VectorSelector

from pipeline.telemetry import REGISTRY

TARGET_LABELS: Final = frozenset({"job", "instance", "cell"})
"""Labels that Prometheus gives to a target."""
SYNTHETIC: Final = frozenset({"up"})
"""Metrics that Prometheus makes for each target."""


@dataclass(frozen=True)
class Named:
    """A metric that an expression reads, with what it demands of labels: (label, operator, value)."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]

    @property
    def labels(self) -> set[str]:
        return {label for label, _, _ in self.matchers}


def exported() -> Mapping[str, frozenset[str]]:
    """The labels of every time series that the catalogue declares, by its name."""
    series: dict[str, frozenset[str]] = {}
    for collector in set(REGISTRY._collector_to_names):
        (metric,) = collector.describe()  # type: ignore[attr-defined]  # every metric of ours has it
        labels = frozenset(collector._labelnames)  # type: ignore[attr-defined]  # no public name
        if metric.type == "counter":
            series[f"{metric.name}_total"] = labels
        elif metric.type == "histogram":
            series |= {f"{metric.name}_{part}": labels for part in ("count", "sum")}
            series[f"{metric.name}_bucket"] = labels | {"le"}
        else:
            series[metric.name] = labels
    return series


def _visited(expression: str) -> list[Expr]:
    visited: list[Expr] = []
    promql_parser.walk(promql_parser.parse(expression), visited.append)
    return visited


def named(expression: str) -> Iterator[Named]:
    """Every metric that an expression reads. Raises ValueError if it is no PromQL."""
    for node in _visited(expression):
        selector = node.vector_selector if isinstance(node, MatrixSelector) else node
        if isinstance(selector, VectorSelector):
            matchers = tuple(
                (each.name, str(each.op).rpartition(".")[2], each.value) for each in selector.matchers.matchers
            )
            assert selector.name, expression
            yield Named(selector.name, matchers)


def grouped_by(expression: str) -> set[str]:
    """The labels by which an expression groups or joins."""
    found: set[str] = set()
    for node in _visited(expression):
        if isinstance(node, AggregateExpr) and node.modifier is not None:
            found.update(node.modifier.labels)
        if isinstance(node, BinaryExpr) and node.modifier is not None:
            matching: Any = node.modifier.matching
            found.update([*(matching.labels if matching else ()), *(node.modifier.group_labels or ())])
    return found


def admits(operator: str, pattern: str, value: str) -> bool:
    """Whether a matcher admits this value of its label."""
    return {
        "Equal": value == pattern,
        "NotEqual": value != pattern,
        "Re": re.fullmatch(pattern, value) is not None,
        "NotRe": re.fullmatch(pattern, value) is None,
    }[operator]

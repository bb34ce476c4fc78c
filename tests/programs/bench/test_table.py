"""The table of goals: every row, with its figure, its goal and its peer, from a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.programs.bench.figures import Figure
from tests.programs.bench.goals import ROWS, Breakdown, Row, Source
from tests.programs.bench.table import goal_table, table

pytestmark = pytest.mark.unit


def report(*figures: Figure) -> dict[str, Any]:
    return {
        "measured_at": "2026-01-01T00:00:00Z",
        "machine": {"cores": 2, "load_before": [0.1, 0.2, 0.3], "cpu_idle_percent_before": 99.0},
        "repeat": 5,
        "figures": [figure.as_dict() for figure in figures],
    }


def rows_of(text: str) -> list[str]:
    return text.splitlines()[4:]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_the_heading_has_date_cores_load_and_repetitions() -> None:
    heading = goal_table(report(), []).splitlines()[0]
    assert heading == "2026-01-01T00:00:00Z, 2 cores, load before 0.1, 0.2, 0.3, 99 % idle, medians of 5:"


@pytest.mark.parametrize(
    ("least", "most", "goal", "met"),
    [
        (None, 2.0, "<= 2 s", "met"),
        (None, 1.9, "<= 1.9 s", "missed"),
        (2.0, None, ">= 2 s", "met"),
        (2.1, None, ">= 2.1 s", "missed"),
        (1.0, 3.0, "1 to 3 s", "met"),
        (2.5, 3.0, "2.5 to 3 s", "missed"),
        (None, None, "", ""),
    ],
)
def test_a_goal_is_met_or_missed_by_the_median(least: float | None, most: float | None, goal: str, met: str) -> None:
    figures = report(Figure("p", "time", "s", [1.0, 2.0, 9.0]))
    [line] = rows_of(goal_table(figures, [Row("a row", Source("p", "time"), least, most)]))
    assert cells(line) == ["a row", "2 s", goal, "", met]


def test_a_row_can_use_the_95th_percentile() -> None:
    figures = report(Figure("p", "time", "s", [1.0, 2.0, 9.0]))
    [line] = rows_of(goal_table(figures, [Row("a row", Source("p", "time", "p95"), most=5.0)]))
    assert line.startswith("| a row | 9 s | <= 5 s |")
    assert line.endswith("| missed |")


def test_peers_that_were_measured_are_named() -> None:
    figures = report(Figure("p", "ours", "s", [1.0]), Figure("q", "theirs", "s", [1234.5]))
    row = Row("a row", Source("p", "ours"), peers={"peer": Source("q", "theirs"), "absent": Source("q", "nothing")})
    [line] = rows_of(goal_table(figures, [row]))
    assert "| peer: 1,234 s |" in line
    assert "absent" not in line


def test_a_breakdown_lists_what_is_not_zero() -> None:
    figures = report(
        *(Figure("p", f"CPU, {name}", "ms", [value]) for name, value in (("a", 1.5), ("b", 0.0), ("c", 2.0)))
    )
    [line] = rows_of(goal_table(figures, [Row("CPU", Breakdown("p", "CPU, "))]))
    assert line.startswith("| CPU | a 1.5, c 2 ms |")


def test_what_was_not_measured_is_named_or_left_out() -> None:
    rows = [Row("one", Source("p", "one"), most=1.0), Row("other", Source("q", "other"), most=1.0)]
    figures = report(Figure("p", "another", "s", [1.0]))
    assert len(rows_of(goal_table(figures, rows))) == 2
    [line] = rows_of(goal_table(figures, rows, complete=False))
    assert line.startswith("| one | not measured | <= 1 |")


def test_the_command_prints_every_row_from_a_report(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(report()))
    ran = CliRunner().invoke(table, [str(path)])
    assert ran.exit_code == 0
    assert len(rows_of(ran.output)) == len(ROWS)

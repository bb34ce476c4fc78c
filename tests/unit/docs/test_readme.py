"""The README is short, and its figures are those of docs/measurements.md."""

from __future__ import annotations

import re

import pytest

from tests.harness.markdown_files import REPOSITORY

pytestmark = pytest.mark.unit

_README = (REPOSITORY / "README.md").read_text("utf-8")
_MEASUREMENTS = (REPOSITORY / "docs/measurements.md").read_text("utf-8")


def _rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:2] == "| "]


def test_a_newcomer_reads_it_in_five_minutes() -> None:
    assert len(_README.splitlines()) <= 160


def test_its_figures_are_those_that_were_measured() -> None:
    measured = {row[0]: row for row in _rows(_MEASUREMENTS) if len(row) == 5}
    part = _README.partition("## What is measured")[2].partition("\n## ")[0]
    shown = [row for row in _rows(part) if row[0] != "figure"]
    assert len(shown) >= 4
    for figure, seen, peer in shown:
        assert measured[figure][1] == seen
        assert measured[figure][3] == peer


def test_its_sums_are_those_of_the_torture_table() -> None:
    rows = {row[0].strip("*"): row[1:] for row in _rows(_MEASUREMENTS)}
    found = re.search(r"injected ([\d,]+)\s+faults into ([\d,]+) uploads: nothing was lost", _README)
    assert found
    assert [int(number.replace(",", "")) for number in found.groups()] == [
        sum(map(int, rows["faults injected"])),
        sum(map(int, rows["uploads"])),
    ]
    assert {*rows["lost"], *rows["left over"]} == {"0"}

"""The lifecycle table: every pair of status and event, and its diagram in ARCHITECTURE.md."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from pipeline.core.lifecycle import ENDED, TRANSITIONS, Event, Status, diagram, moves

pytestmark = pytest.mark.unit

# Columns: admit, segment_received, all_received, segment_lost, persisted, fail, expire, cancel, complete, stored, join.
EXPECTED = """
granted     -         -          -           -          -      failed  expired  cancelled  processing  -     -
waiting     admitted  -          -           -          -      failed  expired  cancelled  -           -     joined
admitted    -         receiving  processing  -          -      failed  expired  cancelled  -           -     joined
receiving   -         receiving  processing  receiving  -      failed  expired  cancelled  -           -     joined
processing  -         -          -           receiving  ready  failed  -        cancelled  -           held  joined
held        -         -          -           -          -      failed  expired  cancelled  -           -     joined
ready       -         -          -           -          -      -       -        -          -           -     -
joined      -         -          -           -          -      -       -        -          -           -     -
failed      -         -          -           -          -      -       -        -          -           -     -
expired     -         -          -           -          -      -       -        -          -           -     -
cancelled   -         -          -           -          -      -       -        -          -           -     -
"""
TABLE = {line.split()[0]: line.split()[1:] for line in EXPECTED.strip().splitlines()}


@pytest.mark.parametrize(("status", "event"), list(itertools.product(Status, Event)))
def test_every_pair_of_status_and_event(status: Status, event: Event) -> None:
    expected = TABLE[status][list(Event).index(event)]
    assert TRANSITIONS[status].get(event) == (None if expected == "-" else expected)


def test_final_statuses_have_no_transitions() -> None:
    assert {status for status, table in TRANSITIONS.items() if not table} == ENDED


def test_every_status_is_reachable_and_leads_to_an_end() -> None:
    def reached(start: Status) -> set[Status]:
        found, ahead = {start}, [start]
        while ahead:
            for target in TRANSITIONS[ahead.pop()].values():
                if target not in found:
                    found.add(target)
                    ahead.append(target)
        return found

    assert reached(Status.WAITING) == set(Status) - {Status.GRANTED}
    assert reached(Status.GRANTED) == set(Status) - {Status.WAITING, Status.ADMITTED}
    assert all(reached(status) & ENDED for status in Status)


@pytest.mark.parametrize("event", Event)
def test_moves_are_the_columns_of_the_table(event: Event) -> None:
    assert moves(event) == {
        str(status): str(target) for status in Status if (target := TRANSITIONS[status].get(event)) is not None
    }


def test_architecture_md_shows_the_same_diagram() -> None:
    page = (Path(__file__).parents[3] / "ARCHITECTURE.md").read_text("utf-8")
    blocks = [block.strip() for block in re.findall(r"```mermaid\n(.*?)```", page, re.DOTALL)]
    drawn = [block for block in blocks if block.startswith("stateDiagram-v2")]
    assert drawn == [diagram()], "put the text of pipeline.core.lifecycle.diagram() into ARCHITECTURE.md"

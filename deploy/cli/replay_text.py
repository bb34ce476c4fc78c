"""Replays as text, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from deploy.cli.formatting import format_bytes, format_time

if TYPE_CHECKING:
    from schemas.replays import Replay, ReplayFailure, ReplayMatch

Row = Mapping[str, str]

_MOST_COUNTED = 1_000_000


def match_text(found: ReplayMatch) -> str:
    more = " or more" if found.contents >= _MOST_COUNTED else ""
    return f"{found.contents}{more} contents match, {format_bytes(found.size_bytes)}{more}."


def progress_text(replay: Replay) -> str:
    """How many contents are done, of how many."""
    more = " or more" if replay.matching >= _MOST_COUNTED else ""
    return f"{replay.ended} of {replay.matching}{more} contents are done, {replay.failed} of them failed"


def summary_text(replay: Replay) -> str:
    counts = f"{replay.changed} changed, {replay.unchanged} unchanged, {replay.failed} failed"
    return f"Replay {replay.id} is {replay.state}: {counts}, {replay.skipped} deleted meanwhile."


def failures_text(replay: Replay) -> str:
    return (
        f"`sluice replay show {replay.id} --failures` lists what failed; "
        f"`sluice replay resume {replay.id} --failed` tries again."
    )


def replay_row(item: Replay) -> Row:
    return {
        "id": item.id,
        "stage": item.stage,
        "state": item.state,
        "done": f"{item.ended} of {item.matching}",
        "failed": str(item.failed),
        "in progress": str(item.in_progress),
        "created": format_time(item.created_at),
        "filters": _filters(item) or "every content",
    }


def replay_facts(item: Replay) -> Row:
    return {
        **replay_row(item),
        "changed": str(item.changed),
        "unchanged": str(item.unchanged),
        "deleted": str(item.skipped),
        "rate": "no limit" if item.rate is None else f"{item.rate:g} contents per second",
        "last progress": format_time(item.progress_at),
        "finished": format_time(item.finished_at),
    }


def failure_row(item: ReplayFailure) -> Row:
    return {"content": item.content_id, "code": item.code, "reason": item.reason}


def _filters(item: Replay) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(item.filters.items()))

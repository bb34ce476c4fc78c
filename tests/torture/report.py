"""What a run has shown: as a table for people, as JSON for programs, and all there is about what went wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from tests.torture.audit import ending
from tests.torture.client import Sent
from tests.torture.run import Outcome
from tests.torture.watch import TakeOver

_MEBIBYTE = 1024 * 1024


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """Everything in the table, JSON-able. Times in seconds."""
    return {
        "seed": outcome.schedule.seed,
        "minutes": outcome.schedule.seconds / 60,
        "seconds": round(outcome.seconds, 1),
        "peace_seconds": round(outcome.peace_seconds, 1),
        "faults": dict(sorted(outcome.faults.items())),
        "uploads": dict(sorted(Counter(ending(sent) for sent in outcome.sents).items())),
        "file_bytes": sum(len(sent.file.data) for sent in outcome.sents),
        "sent_bytes": outcome.effort.sent_bytes,
        "requests": outcome.effort.requests,
        "client_retries": outcome.effort.retries,
        "stage_retries": outcome.stage_retries,
        "takeovers": outcome.takeover_count,
        "longest_takeover_seconds": _longest(outcome.takeovers, lambda item: item.seconds),
        "longest_takeover_when_able_seconds": _longest(outcome.takeovers, lambda item: item.able_seconds),
        "every_takeover": [_takeover(item) for item in outcome.takeovers],
        "ended_by_themselves": outcome.deaths,
        "notes": outcome.notes,
        "lost": {str(number): reason for number, reason in outcome.lost.items()},
        "left_over": outcome.left_over,
    }


def _longest(items: Iterable[TakeOver], seconds: Callable[[TakeOver], float | None]) -> float | None:
    return max((value for item in items if (value := seconds(item)) is not None), default=None)


def _takeover(item: TakeOver) -> dict[str, Any]:
    return {
        "upload_id": item.upload_id,
        "stage": str(item.stage),
        "last_sign": item.last_sign_ms / 1000,
        "seconds": item.seconds,
        "when_able_seconds": item.able_seconds,
    }


def table(outcome: Outcome) -> Table:
    """The table that a run ends with."""
    facts = as_dict(outcome)
    shown = Table(box=box.SIMPLE, title=f"Torture, seed {facts['seed']}, {facts['minutes']:g} minutes")
    shown.add_column("what")
    shown.add_column("how many", justify="right")

    def section(name: str, counts: dict[str, int]) -> None:
        shown.add_row(f"[bold]{name}", f"[bold]{sum(counts.values())}")
        for what, count in counts.items():
            shown.add_row(f"  {what}", str(count))

    section("faults injected", facts["faults"])
    section("uploads", facts["uploads"])
    shown.add_row("MiB of files", f"{facts['file_bytes'] / _MEBIBYTE:.1f}")
    shown.add_row("MiB of segments accepted", f"{facts['sent_bytes'] / _MEBIBYTE:.1f}")
    shown.add_row("requests repeated by clients", f"{facts['client_retries']} of {facts['requests']}")
    shown.add_row("stage attempts repeated", str(facts["stage_retries"]))
    shown.add_row("stages taken over", str(facts["takeovers"]))
    shown.add_row("  longest, since the last heartbeat", _seconds(facts["longest_takeover_seconds"]))
    shown.add_row(
        "  longest, since Redis and workers were there", _seconds(facts["longest_takeover_when_able_seconds"])
    )
    shown.add_row("seconds of peace until the last upload had ended", f"{facts['peace_seconds']:.1f}")
    shown.add_row("processes that ended by themselves", str(len(outcome.deaths)))
    shown.add_row("[bold]lost", f"[bold]{len(outcome.lost)}")
    shown.add_row("[bold]left over", f"[bold]{len(outcome.left_over)}")
    return shown


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def problems(outcome: Outcome, directory: Path) -> Iterable[str]:
    """Lines for whoever has to find out why; nothing for a clean run."""
    yield from (f"note: {note}" for note in (*outcome.notes, *outcome.deaths))
    if outcome.is_clean:
        return
    by_number = {sent.plan.number: sent for sent in outcome.sents}
    for number, reason in outcome.lost.items():
        yield f"LOST upload {number}: {reason}"
        yield from _history(by_number[number], outcome)
    touched = [sent for sent in outcome.sents if sent.plan.number not in outcome.lost]
    for item in outcome.left_over:
        yield f"LEFT OVER: {item}"
        for sent in touched:
            if sent.upload_id and sent.upload_id in item:
                yield from _history(sent, outcome)
    yield f"logs: {directory / 'logs'}, the servers' own: {directory / 'servers' / 'logs'}"


def _history(sent: Sent, outcome: Outcome) -> Iterable[str]:
    yield f"  plan: {sent.plan}, file: {sent.file.name}, {len(sent.file.data)} bytes"
    yield f"  view: {json.dumps(sent.view)}"
    for at_ms, text in outcome.events.get(str(sent.upload_id), []):
        yield f"  {at_ms / 1000:.3f}  {text}"

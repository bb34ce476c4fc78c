"""What a run has shown: as a table for people, as JSON for programs, and all there is about what went wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from tests.programs.torture.audit import ending
from tests.programs.torture.client import Sent
from tests.programs.torture.run import Outcome
from tests.programs.torture.watch import TakeOver

_MEBIBYTE = 1024 * 1024


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """Everything in the table, JSON-able. Times in seconds."""
    return {
        "store": outcome.store,
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


def rows(facts: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """What the table says of one run: name and value; a name that is indented is a part of the one above."""

    def section(name: str, counts: Mapping[str, int]) -> Iterable[tuple[str, str]]:
        yield name, str(sum(counts.values()))
        for what, count in counts.items():
            yield f"  {what}", str(count)

    yield from section("faults injected", facts["faults"])
    yield from section("uploads", facts["uploads"])
    yield "MiB of files", f"{facts['file_bytes'] / _MEBIBYTE:.1f}"
    yield "MiB of segments accepted", f"{facts['sent_bytes'] / _MEBIBYTE:.1f}"
    yield "requests of clients", str(facts["requests"])
    yield "  of them repeated", str(facts["client_retries"])
    yield "stage attempts repeated", str(facts["stage_retries"])
    yield "stages taken over", str(facts["takeovers"])
    yield "  longest, since the last heartbeat", _seconds(facts["longest_takeover_seconds"])
    yield "  longest, since Redis and workers were there", _seconds(facts["longest_takeover_when_able_seconds"])
    yield "seconds of peace until the last upload had ended", f"{facts['peace_seconds']:.1f}"
    yield "processes that ended by themselves", str(len(facts["ended_by_themselves"]))
    yield "lost", str(len(facts["lost"]))
    yield "left over", str(len(facts["left_over"]))


def table(facts: Mapping[str, Any]) -> Table:
    """The table that a run ends with."""
    title = f"Torture of {facts['store']}, seed {facts['seed']}, {facts['minutes']:g} minutes"
    shown = Table(box=box.SIMPLE, title=title)
    shown.add_column("what")
    shown.add_column("how many", justify="right")
    for name, value in rows(facts):
        shown.add_row(name, value)
    return shown


def side_by_side(runs: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """Several runs as one table in Markdown, line by line."""
    yield "| " + " | ".join(["", *(f"seed {facts['seed']}, {facts['store']}" for facts in runs)]) + " |"
    yield "|---" + "|--:" * len(runs) + "|"
    columns = [list(rows(_with_every_kind(facts, runs))) for facts in runs]
    for row in zip(*columns, strict=True):
        name = row[0][0]
        label = f"&nbsp;&nbsp;{name.strip()}" if name.startswith(" ") else f"**{name}**"
        yield "| " + " | ".join([label, *(value for _, value in row)]) + " |"


def _with_every_kind(facts: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """With a 0 for each fault and each ending that only other runs have seen."""
    kinds = {name: sorted({kind for run in runs for kind in run[name]}) for name in ("faults", "uploads")}
    return {**facts, **{name: {kind: facts[name].get(kind, 0) for kind in kinds[name]} for name in kinds}}


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

"""The report of a run: a table for people, JSON for programs, and details of whatever is lost or left over."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from tests.programs.torture.audit import ending
from tests.programs.torture.client import ClientUpload
from tests.programs.torture.run import Outcome
from tests.programs.torture.watch import TakeOver

_MEBIBYTE = 1024 * 1024


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """The report as JSON-able data. Times in seconds."""
    world, uploads, traffic = outcome.world, outcome.clients.uploads, outcome.clients.traffic
    stages = outcome.stages
    return {
        "store": world.settings.store,
        "redis": "Redis with Sentinel" if outcome.schedule.sentinel else "one Redis server",
        "seed": outcome.schedule.seed,
        "minutes": outcome.schedule.seconds / 60,
        "seconds": round(outcome.timing.total_seconds, 1),
        "peace_seconds": round(outcome.timing.recovery_seconds, 1),
        "faults": dict(sorted(world.faults.items())),
        "failovers": world.failovers,
        "uploads": dict(sorted(Counter(ending(upload) for upload in uploads).items())),
        "file_bytes": sum(len(upload.file.data) for upload in uploads),
        "sent_bytes": traffic.sent_bytes,
        "requests": traffic.requests,
        "client_retries": traffic.retries,
        "deleted_segments": world.deleted_segments,
        "killed_readers": world.killed_readers,
        "requested_again": outcome.acknowledged.requested_again,
        "requested_again_problems": list(outcome.acknowledged.problems),
        "window_full": traffic.window_full,
        "accounting_samples": outcome.accounting.samples,
        "highest_reserved_bytes": outcome.accounting.highest_reserved_bytes,
        "highest_used_bytes": outcome.accounting.highest_used_bytes,
        "strangers_refused": outcome.strangers.tries,
        "access_problems": list(outcome.strangers.problems),
        "events": outcome.notified.events,
        "event_requests": len(outcome.notified.receiver.requests),
        "not_notified": list(outcome.not_notified),
        "accounting_problems": list(outcome.accounting.problems),
        "stage_retries": stages.retries,
        "takeovers": stages.takeover_count,
        "longest_takeover_seconds": _longest(stages.takeovers, lambda item: item.seconds),
        "longest_takeover_when_able_seconds": _longest(stages.takeovers, lambda item: item.available_seconds),
        "every_takeover": [_takeover(item) for item in stages.takeovers],
        "ended_by_themselves": world.unexpected_exits,
        "notes": world.notes,
        "lost": {str(number): reason for number, reason in outcome.findings.lost.items()},
        "left_over": list(outcome.findings.left_over),
    }


def _longest(items: Iterable[TakeOver], seconds: Callable[[TakeOver], float | None]) -> float | None:
    return max((value for item in items if (value := seconds(item)) is not None), default=None)


def _takeover(item: TakeOver) -> dict[str, Any]:
    return {
        "upload_id": item.upload_id,
        "stage": str(item.stage),
        "last_sign": item.heartbeat_ms / 1000,
        "seconds": item.seconds,
        "when_able_seconds": item.available_seconds,
    }


def rows(facts: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """The rows of the table, as name and value. An indented name is a part of the row above."""

    def section(name: str, counts: Mapping[str, int]) -> Iterable[tuple[str, str]]:
        yield name, str(sum(counts.values()))
        for what, count in counts.items():
            yield f"  {what}", str(count)

    yield from section("faults injected", facts["faults"])
    yield "replicas of Redis that were promoted", str(facts["failovers"])
    yield from section("uploads", facts["uploads"])
    yield "MiB of files", f"{facts['file_bytes'] / _MEBIBYTE:.1f}"
    yield "MiB of segments accepted", f"{facts['sent_bytes'] / _MEBIBYTE:.1f}"
    yield "client requests", str(facts["requests"])
    yield "  of these, retries", str(facts["client_retries"])
    yield "  segments refused until there was room", str(facts["window_full"])
    yield "stored segments that were deleted", str(facts["deleted_segments"])
    yield "acknowledged segments that were requested again after damage", str(facts["requested_again"])
    yield "  uploads that requested some without a reason", str(len(facts["requested_again_problems"]))
    yield "processes of media readers that were killed", str(facts["killed_readers"])
    yield "samples of the temp volume", str(facts["accounting_samples"])
    yield "  MiB reserved at most", f"{facts['highest_reserved_bytes'] / _MEBIBYTE:.1f}"
    yield "  MiB on the disk at most", f"{facts['highest_used_bytes'] / _MEBIBYTE:.1f}"
    yield "  of these, above what was reserved or the budget", str(len(facts["accounting_problems"]))
    yield "requests of other owners, and with void keys, refused", str(facts["strangers_refused"])
    yield "  accepted although they must not be", str(len(facts["access_problems"]))
    yield "events of which the webhook was notified", str(facts["events"])
    yield "  requests for them, repeats and refused ones included", str(facts["event_requests"])
    yield "  missing, or in the wrong order", str(len(facts["not_notified"]))
    yield "stage retries", str(facts["stage_retries"])
    yield "stages taken over", str(facts["takeovers"])
    yield "  longest, since the last heartbeat", _seconds(facts["longest_takeover_seconds"])
    yield "  longest, since Redis and workers were available", _seconds(facts["longest_takeover_when_able_seconds"])
    yield "seconds without faults until the last upload ended", f"{facts['peace_seconds']:.1f}"
    yield "processes that exited unexpectedly", str(len(facts["ended_by_themselves"]))
    yield "lost", str(len(facts["lost"]))
    yield "left over", str(len(facts["left_over"]))


def table(facts: Mapping[str, Any]) -> Table:
    """The table that is printed at the end of a run."""
    title = (
        f"Torture test with {facts['store']} and {facts['redis']}, seed {facts['seed']}, {facts['minutes']:g} minutes"
    )
    shown = Table(box=box.SIMPLE, title=title)
    shown.add_column("figure")
    shown.add_column("value", justify="right")
    for name, value in rows(facts):
        shown.add_row(name, value)
    return shown


def side_by_side(runs: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """The lines of a Markdown table with a column for each run."""
    names = [f"seed {facts['seed']}, {facts['store']}, {facts['redis']}" for facts in runs]
    yield "| " + " | ".join(["", *names]) + " |"
    yield "|---" + "|--:" * len(runs) + "|"
    columns = [list(rows(_with_every_kind(facts, runs))) for facts in runs]
    for row in zip(*columns, strict=True):
        name = row[0][0]
        label = f"&nbsp;&nbsp;{name.strip()}" if name.startswith(" ") else f"**{name}**"
        yield "| " + " | ".join([label, *(value for _, value in row)]) + " |"


def _with_every_kind(facts: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """`facts` with a 0 for each kind of fault and each ending that occurs only in other runs."""
    kinds = {name: sorted({kind for run in runs for kind in run[name]}) for name in ("faults", "uploads")}
    return {**facts, **{name: {kind: facts[name].get(kind, 0) for kind in kinds[name]} for name in kinds}}


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def problems(outcome: Outcome, directory: Path) -> Iterable[str]:
    """The notes, and for a run that is not clean all details of what is lost or left over, line by line."""
    yield from (f"note: {note}" for note in (*outcome.world.notes, *outcome.world.unexpected_exits))
    if outcome.is_clean:
        return
    yield from (f"ACCESS: {problem}" for problem in outcome.strangers.problems)
    yield from (f"NOT NOTIFIED: {problem}" for problem in outcome.not_notified)
    yield from (f"REQUESTED AGAIN: {problem}" for problem in outcome.acknowledged.problems)
    yield from (f"ACCOUNTING: {problem}" for problem in outcome.accounting.problems)
    findings, uploads = outcome.findings, outcome.clients.uploads
    by_number = {upload.plan.number: upload for upload in uploads}
    for number, reason in findings.lost.items():
        yield f"LOST upload {number}: {reason}"
        yield from _history(by_number[number], outcome)
    not_lost = [upload for upload in uploads if upload.plan.number not in findings.lost]
    for item in findings.left_over:
        yield f"LEFT OVER: {item}"
        for upload in not_lost:
            if upload.upload_id and upload.upload_id in item:
                yield from _history(upload, outcome)
    yield f"logs: {directory / 'logs'}, of the servers: {directory / 'servers' / 'logs'}"


def _history(upload: ClientUpload, outcome: Outcome) -> Iterable[str]:
    yield f"  plan: {upload.plan}, file: {upload.file.name}, {len(upload.file.data)} bytes"
    yield f"  view: {json.dumps(upload.view)}"
    for at_ms, text in outcome.stages.events.get(str(upload.upload_id), []):
        yield f"  {at_ms / 1000:.3f}  {text}"

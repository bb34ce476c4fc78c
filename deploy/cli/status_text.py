"""Uploads as text: tables for a terminal, one record per line elsewhere.

Guarantee: an id is never shortened or broken. A line for a program has the same fields in the same order, separated by
tabs: id, status, size, received, stored, created, file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from deploy.cli.client import ENDED
from deploy.cli.formatting import format_bytes, format_early, format_ranges, format_seconds, format_time
from deploy.cli.names import shown
from schemas.uploads import StageView, UploadView

_COLOURS: Final = {"ready": "green", "failed": "red", "expired": "red", "cancelled": "yellow", "waiting": "yellow"}
_WIDE_COLUMNS: Final = 110
_NARROW_COLUMNS: Final = 72


def upload_line(view: UploadView) -> str:
    """One upload as one line of fields separated by tabs."""
    return "\t".join(
        [
            view.id,
            view.status,
            _size(view),
            _share(view, view.bytes_received),
            _share(view, view.bytes_stored),
            format_time(view.created_at),
            shown(view.filename),
        ]
    )


def upload_lines(view: UploadView) -> Iterator[str]:
    """Everything about one upload: a line for each fact and for each stage, with the name before a tab."""
    for name, text in _facts(view):
        yield f"{name}\t{text}"
    for stage, *rest in _stages(view):
        yield "\t".join(["stage " + stage, *rest])


def uploads_table(views: Sequence[UploadView], console: Console) -> RenderableType:
    """A table with one row per upload; where it does not fit, less important columns are left out."""
    if not views:
        return "No uploads."
    if console.width < _NARROW_COLUMNS:
        return Group(
            *(Text(f"{view.id}\n  ").append_text(_status(view)).append(f"  {shown(view.filename)}") for view in views)
        )
    wide = console.width >= _WIDE_COLUMNS
    fixed = ["status", "size", "received", *(["stored", "created"] if wide else [])]
    table = Table(
        Column("id", no_wrap=True, min_width=max(len(view.id) for view in views)),
        *(Column(name, no_wrap=True) for name in fixed),
        Column("file", no_wrap=True, overflow="ellipsis", ratio=1),  # it alone gives way
        expand=True,
        box=None,
        pad_edge=False,
        padding=(0, 2 if wide else 1, 0, 0),
    )
    for view in views:
        cells: list[RenderableType] = [_status(view), _size(view), _share(view, view.bytes_received)]
        if wide:
            cells += [_share(view, view.bytes_stored), format_time(view.created_at)]
        table.add_row(view.id, *cells, Text(shown(view.filename)))
    return table


def upload_page(view: UploadView, console: Console) -> RenderableType:
    """Everything about one upload: two tables; below 72 columns, names and texts on lines of their own."""
    if console.width < _NARROW_COLUMNS:
        return Group(
            *(Text(f"{name}:\n{text}") for name, text in _facts(view)), *map(Text, map(" ".join, _stages(view)))
        )
    facts = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2))
    for name, text in _facts(view):
        facts.add_row(name, _status(view) if name == "status" else Text(text, style="red" if name == "error" else ""))
    stages = Table("stage", "state", "attempts", "took", "error", box=None, pad_edge=False)
    for row in _stages(view):
        stages.add_row(*row)
    return Group(facts, "", stages)


def _facts(view: UploadView) -> Iterator[tuple[str, str]]:
    yield "upload", view.id
    yield "file", f"{shown(view.filename)} · {shown(view.content_type)} · {_size(view)}"
    yield "status", _status(view).plain
    received, stored = _share(view, view.bytes_received), _share(view, view.bytes_stored)
    count = "unknown number" if view.deferred else view.segment_count
    segments = f"{count} of {format_bytes(view.segment_size)}"
    yield "segments", f"{segments} · received {received}, stored {stored}"
    if view.missing_segments and view.status not in ENDED:
        yield "missing", format_ranges(view.missing_segments)
    if view.wanted_segments and view.status not in ENDED:
        yield "wanted", f"{format_ranges(view.wanted_segments)}, for the metadata: send these next"
    if view.window_size is not None and view.status not in ENDED:
        yield "window", f"{format_bytes(view.window_size)}: the most that the server holds of this file at once"
    if view.media is not None:
        yield "media", f"{view.media.kind} · {format_early(view.media)}"
    if view.expires_at is not None:
        yield "expires", f"{format_time(view.expires_at)}, unless another segment arrives"
    if view.deadline_at is not None:
        yield "deadline", f"{format_time(view.deadline_at)}, for the last segment"
    if view.error is not None:
        yield "error", f"{shown(view.error.message)} [{view.error.code}]"
    if view.content_id is not None:
        yield "content", view.content_id


def _stages(view: UploadView) -> Iterator[tuple[str, str, str, str, str]]:
    for name, stage in view.stages.items():
        yield name, stage.state, str(stage.attempts), format_seconds(_took(stage)), stage.error_code or ""


def _status(view: UploadView) -> Text:
    place = f", number {view.queue_position} in the queue" if view.queue_position else ""
    return Text(view.status, style=_COLOURS.get(view.status, "cyan")).append(place, style="default")


def _is_size_known(view: UploadView) -> bool:
    return view.deferred in {None, "plan"}


def _size(view: UploadView) -> str:
    """While it is not known, `size` is what counts towards limits: the least that is known if the client sends the
    bytes to the store itself, else a whole segment for a part of one."""
    if _is_size_known(view):
        return format_bytes(view.size)
    return f"at least {format_bytes(view.size)}" if view.transport == "direct" and view.size else "unknown"


def _share(view: UploadView, part: int) -> str:
    """A share of the size, or bytes where that is not known."""
    if not _is_size_known(view):
        return format_bytes(part)
    return f"{100 * part // view.size} %" if view.size else "-"


def _took(stage: StageView) -> float | None:
    if stage.started_at is None or stage.finished_at is None:
        return None
    return (stage.finished_at - stage.started_at).total_seconds()

"""What `sluice upload` shows: a Display for programs (lines of JSON), and what all displays have in common.

Guarantee: with --json, standard output holds only JSON objects, one per line. Each has `event`, `file` and, once the
upload exists, `upload_id`. Fields may be added but are never renamed. Every file that was named has exactly one last
event: `ended`, `gave_up` or `skipped`. A byte of a file name that is not UTF-8 is a lone surrogate in `file`, as in
Python's own names (PEP 383).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from pydantic import BaseModel

from deploy.cli.formatting import count_of, format_early
from deploy.cli.names import shown
from deploy.cli.output import print_line
from deploy.cli.upload_progress import Outcome, UploadProgress


class Display(Protocol):
    """Shows the progress of all uploads of a run. A context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def expect(self, files: int, size_bytes: int) -> None:
        """So many files and bytes are going to be sent."""

    def observe(self, event: str, progress: UploadProgress, facts: Mapping[str, object]) -> None: ...

    def ended(self, outcome: Outcome) -> None: ...

    def failed(self, path: Path, code: str, message: str) -> None: ...

    def skipped(self, path: Path, reason: str) -> None: ...


class JsonDisplay:
    """Prints one JSON object per line. Raises OutputError."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def expect(self, files: int, size_bytes: int) -> None:
        pass

    def observe(self, event: str, progress: UploadProgress, facts: Mapping[str, object]) -> None:
        if event in ("bytes", "ended"):  # `bytes` comes too often, and the method `ended` prints more
            return
        upload_id = progress.upload.id if progress.upload else None
        self._print(event=event, file=str(progress.path), upload_id=upload_id, **facts)

    def ended(self, outcome: Outcome) -> None:
        self._print(
            event="ended",
            file=str(outcome.path),
            upload_id=outcome.view.id,
            status=outcome.view.status,
            error=outcome.view.error,
            upload=outcome.view,
            content=outcome.content,
        )

    def failed(self, path: Path, code: str, message: str) -> None:
        self._print(event="gave_up", file=str(path), error={"code": code, "message": message})

    def skipped(self, path: Path, reason: str) -> None:
        self._print(event="skipped", file=str(path), reason=reason)

    def _print(self, **facts: object) -> None:
        print_line(json.dumps({key: _plain(value) for key, value in facts.items()}))


def end_line(outcome: Outcome) -> tuple[str, str]:
    """(status, sentence) of an upload that has ended."""
    view, name = outcome.view, shown(outcome.path.name)
    if view.status == "ready":
        return view.status, f"{name} is content {view.content_id}"
    why = f"{view.error.message} [{view.error.code}]" if view.error else "the server gave no reason"
    return view.status, f"{name}: {shown(why)}"


def notable(event: str, progress: UploadProgress, facts: Mapping[str, Any]) -> str | None:
    """The line for an event that should stay on the screen; None for any other."""
    name = shown(progress.path.name)
    if event == "renamed":
        accepted = "the server accepts no control characters and no backslashes in file names"
        return f"{name} is sent as {shown(facts['filename'])}, because {accepted}"
    if event == "media":
        return f"{name}: {format_early(facts['media'])}"
    if event in ("resumed", "lost"):
        return f"{name}: {doing_now(event, progress, facts)}"
    return None


def doing_now(event: str, progress: UploadProgress, facts: Mapping[str, Any]) -> str | None:
    """What is happening, in a few words; None when that has not changed."""
    match event:
        case "waiting":
            return f"waiting for free space on the server, number {facts['queue_position']} in the queue"
        case "resumed":
            view = progress.view
            return f"resuming, {count_of(view.missing_segments)} of {view.segment_count} segments left to send"
        case "lost":
            return "the server lost segments; sending them again"
        case "sending" | "segment":
            return "sending"
        case "window_full":
            return "waiting until the server has stored more of this file"
        case "retry":
            return f"trying again in {facts['after_seconds']} s: {shown(facts['reason'])}"
        case "processing":
            busy = [name for name, stage in progress.view.stages.items() if stage.state in ("queued", "running")]
            return ", ".join(busy) or "processing"
    return None


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value

"""The progress that `sluice upload` shows: bars for people, lines of JSON for programs.

Guarantee: with --json, standard output holds only JSON objects, one per line. Each has `event`, `file` and, once the
upload exists, `upload_id`. Fields may be added but are never renamed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import click
from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from deploy.cli.formatting import count_of
from deploy.cli.uploader import Outcome, UploadProgress


class Display(Protocol):
    """Shows the progress of all uploads of a run. A context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def observe(self, event: str, progress: UploadProgress, facts: Mapping[str, object]) -> None: ...

    def ended(self, outcome: Outcome) -> None: ...

    def failed(self, path: Path, error: Exception) -> None: ...


class JsonDisplay:
    """Prints one JSON object per line."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def observe(self, event: str, progress: UploadProgress, facts: Mapping[str, object]) -> None:
        if event in ("bytes", "ended"):  # `bytes` comes too often, and the method `ended` prints more
            return
        upload_id = progress.view.id if progress.view else None
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

    def failed(self, path: Path, error: Exception) -> None:
        code = getattr(error, "code", type(error).__name__)
        self._print(event="gave_up", file=str(path), error={"code": code, "message": str(error)})

    def _print(self, **facts: object) -> None:
        click.echo(json.dumps({key: _plain(value) for key, value in facts.items()}))


class BarDisplay:
    """Shows a bar for each file that is being uploaded, and a line for each that has ended."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.fields[name]}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TextColumn("{task.fields[doing]}"),
            console=self._console,
            transient=True,
        )
        self._tasks: dict[Path, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bars.stop()

    def observe(self, event: str, progress: UploadProgress, facts: Mapping[str, object]) -> None:
        task = self._tasks.get(progress.path)
        if task is None:
            name = escape(progress.path.name)
            task = self._bars.add_task("", total=progress.size_bytes, name=name, doing="")
            self._tasks[progress.path] = task
        self._bars.update(task, completed=progress.sent_bytes)
        doing = doing_now(event, progress, facts)
        if doing is not None:
            self._bars.update(task, doing=escape(doing))
        if event in ("resumed", "lost"):
            self._console.print(f"{escape(progress.path.name)}: {escape(doing or event)}", highlight=False)

    def ended(self, outcome: Outcome) -> None:
        self._drop(outcome.path)
        view = outcome.view
        if view.status == "ready":
            self._console.print(
                f"[green]ready[/] {escape(outcome.path.name)} is content {view.content_id}", highlight=False
            )
        else:
            why = f"{view.error.message} [{view.error.code}]" if view.error else "the server gave no reason"
            self._console.print(f"[red]{view.status}[/] {escape(outcome.path.name)}: {escape(why)}", highlight=False)

    def failed(self, path: Path, error: Exception) -> None:
        self._drop(path)
        self._console.print(f"[red]not sent[/] {escape(path.name)}: {escape(str(error))}", highlight=False)

    def _drop(self, path: Path) -> None:
        task = self._tasks.pop(path, None)
        if task is not None:
            self._bars.remove_task(task)


def doing_now(event: str, progress: UploadProgress, facts: Mapping[str, Any]) -> str | None:
    """What is happening, in a few words; None when that has not changed."""
    view = progress.view
    match event:
        case "waiting":
            return f"waiting for free space on the server, number {facts['queue_position']} in the queue"
        case "resumed" if view is not None:
            missing = count_of(view.missing_segments)
            return f"resuming, {missing} of {view.segment_count} segments left to send"
        case "lost":
            return "the server lost segments; sending them again"
        case "sending":
            return "sending"
        case "retry":
            return f"trying again in {facts['after_seconds']} s: {facts['reason']}"
        case "segment":
            return "sending"
        case "processing" if view is not None:
            busy = [name for name, stage in view.stages.items() if stage.state in ("queued", "running")]
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

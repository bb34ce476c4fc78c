"""The progress of `sluice upload` for people: bars on a terminal, plain lines elsewhere.

Guarantee: both show percent, bytes, rate and time left, in the units of `formatting` (KiB, MiB, GiB). Every file has
one last line. Bars never wrap, and 80 columns have room for everything. A pipe or a file gets whole lines without
cursor movements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Final, Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from deploy.cli.formatting import format_bytes, format_clock, format_part
from deploy.cli.names import shown
from deploy.cli.output import on_terminal
from deploy.cli.progress import Display, doing_now, end_line, notable
from deploy.cli.upload_progress import Outcome, UploadProgress

_MOST_BARS: Final = 5
_REFRESH_PER_SECOND: Final = 5
_NAME_COLUMNS: Final = 20
# A plain line appears when the percentage has grown by ten, at most once a second, and at least every ten seconds.
_STEP_PERCENT: Final = 10
_SHORTEST_SECONDS: Final = 1.0
_LONGEST_SECONDS: Final = 10.0

_COLOURS = {"ready": "green", "failed": "red", "expired": "red", "cancelled": "yellow", "not sent": "red"}


def display_for(console: Console) -> Display:
    """Bars if `console` is a terminal that can move its cursor, else plain lines."""
    return BarDisplay(console) if on_terminal(console) else PlainDisplay(console)


def rate_and_rest(task: Task) -> str:
    """The rate and the time left, such as `8.2 MiB/s, 0:42 left`; empty before anything is known."""
    speed = task.finished_speed or task.speed
    if not speed:
        return ""
    left = None if task.finished else task.time_remaining
    return f"{format_bytes(speed)}/s" + (f", {format_clock(left)} left" if left is not None else "")


class _RunDisplay:
    """What both displays share: the totals of the run, estimated by rich, and lines that stay."""

    def __init__(self, console: Console, totals: Progress) -> None:
        self._console = console
        self._totals = totals
        self._total: TaskID | None = None
        self._files = 0
        self._files_done = 0
        self._sent: dict[Path, int] = {}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._totals.stop()

    def expect(self, files: int, size_bytes: int) -> None:
        self._files = files
        self._total = self._totals.add_task("", total=size_bytes, name="", doing="", visible=files > 1)
        self._count()

    def observe(self, event: str, progress: UploadProgress, facts: Mapping[str, object]) -> None:
        before = self._sent.get(progress.path, 0)
        self._sent[progress.path] = progress.sent_bytes
        if self._total is None:
            self.expect(1, progress.size_bytes)
        completed = self._task.completed + progress.sent_bytes - before
        if event == "resumed":  # what an earlier run has sent says nothing about the rate
            self._totals.reset(self._task.id, completed=int(completed), total=self._task.total)
        self._totals.update(self._task.id, completed=completed)
        line = notable(event, progress, facts)
        if line is not None:
            self._line("", line)

    def ended(self, outcome: Outcome) -> None:
        self._done()
        self._line(*end_line(outcome))

    def failed(self, path: Path, code: str, message: str) -> None:
        self._done()
        self._line("not sent", f"{shown(path.name)}: {shown(message)}")

    def skipped(self, path: Path, reason: str) -> None:
        self._line("skipped", f"{shown(path.name)}: {reason}")

    @property
    def _task(self) -> Task:
        return next(task for task in self._totals.tasks if task.id == self._total)

    def _done(self) -> None:
        self._files_done += 1
        self._count()

    def _count(self) -> None:
        if self._total is not None:
            self._totals.update(self._total, name=f"{min(self._files_done, self._files)} of {self._files} files")

    def _line(self, status: str, text: str) -> None:
        line = Text(f"{status} " if status else "", style=_COLOURS.get(status, "")).append(text, style="default")
        # soft_wrap: a name or an id must not be broken by line ends of ours.
        self._console.print(line, soft_wrap=True, highlight=False)


class BarDisplay(_RunDisplay):
    """A bar for the run, and one for each of the first few files that are being sent."""

    def __init__(self, console: Console, clock: Callable[[], float] = monotonic) -> None:
        self._bars = Progress(
            TextColumn("{task.fields[name]}", markup=False, table_column=Column(no_wrap=True, max_width=_NAME_COLUMNS)),
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=4)),
            _Percent(table_column=Column(no_wrap=True, justify="right")),
            _Bytes(table_column=Column(no_wrap=True, justify="right")),
            _Doing(table_column=Column(no_wrap=True, overflow="ellipsis", ratio=2)),
            console=console,
            transient=True,
            expand=True,
            refresh_per_second=_REFRESH_PER_SECOND,
            get_time=clock,
        )
        super().__init__(console, self._bars)
        self._tasks: dict[Path, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def observe(self, event: str, progress: UploadProgress, facts: Mapping[str, object]) -> None:
        super().observe(event, progress, facts)
        task = self._tasks.get(progress.path)
        if task is None:
            if len(self._tasks) == _MOST_BARS:
                return
            name = shown(progress.path.name)
            task = self._bars.add_task("", total=progress.size_bytes, name=name, doing="")
            self._tasks[progress.path] = task
        self._bars.update(task, completed=progress.sent_bytes)
        doing = doing_now(event, progress, facts)
        if doing is not None:
            self._bars.update(task, doing="" if doing == "sending" else doing)

    def ended(self, outcome: Outcome) -> None:
        self._drop(outcome.path)
        super().ended(outcome)

    def failed(self, path: Path, code: str, message: str) -> None:
        self._drop(path)
        super().failed(path, code, message)

    def rendered(self) -> RenderableType:
        """The bars as they are drawn now."""
        return self._bars.get_renderable()

    def _drop(self, path: Path) -> None:
        task = self._tasks.pop(path, None)
        if task is not None:
            self._bars.remove_task(task)


class PlainDisplay(_RunDisplay):
    """Lines without colours or cursor movements, for pipes, files and logs."""

    def __init__(self, console: Console, clock: Callable[[], float] = monotonic) -> None:
        super().__init__(console, Progress(console=console, disable=True, get_time=clock))
        self._clock = clock
        self._printed_at = clock()
        self._printed_percent = 0.0
        self._said: dict[Path, object] = {}

    def __enter__(self) -> Self:
        return self

    def observe(self, event: str, progress: UploadProgress, facts: Mapping[str, object]) -> None:
        super().observe(event, progress, facts)
        lasting = facts.get({"waiting": "queue_position", "retry": "reason"}.get(event, ""))
        if lasting is not None and self._said.get(progress.path) != lasting:
            self._said[progress.path] = lasting
            self._line("", f"{shown(progress.path.name)}: {doing_now(event, progress, facts)}")
        elif event in ("bytes", "segment"):
            self._print_progress(progress)

    def _print_progress(self, progress: UploadProgress) -> None:
        task, now = self._task, self._clock()
        grown, passed = task.percentage - self._printed_percent, now - self._printed_at
        due = passed >= _LONGEST_SECONDS or (passed >= _SHORTEST_SECONDS and grown >= _STEP_PERCENT)
        if not due and not (task.finished and grown > 0):
            return
        self._printed_at, self._printed_percent = now, task.percentage
        name = shown(progress.path.name) if self._files == 1 else task.fields["name"]
        facts = [f"{task.percentage:.0f} %", _amount(task), rate_and_rest(task)]
        self._line("", f"{name}: {', '.join(filter(None, facts))}")


class _Percent(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.percentage:.0f} %")


class _Bytes(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(_amount(task))


class _Doing(ProgressColumn):
    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        return Text(task.fields["doing"] or rate_and_rest(task))


def _amount(task: Task) -> str:
    return format_part(task.completed, task.total or 0)

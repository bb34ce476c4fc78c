"""The client that sends with tus: tus-js-client in Node.js, or a sender of our own where Node.js is missing.

Both send each file in one PATCH, all files at once, decide alone which requests they repeat, and print the same lines.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.cli.processes import import_path
from tests.harness.javascript import JAVASCRIPT, MODULES
from tests.programs.bench.commands import run_command


@dataclass(frozen=True, slots=True)
class Sent:
    """One file that a client has sent. `began` and `ended`: Unix time of its first request and its last response.
    `statuses`: of each response, in order. `refusals`: method, status and code of each error. `unanswered`: requests
    without a response."""

    file: Path
    url: str
    began: float
    ended: float
    statuses: Sequence[int]
    refusals: Sequence[str]
    unanswered: int

    @property
    def upload_id(self) -> str:
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Sender:
    """A client as a command, which takes its order as JSON."""

    name: str
    command: Sequence[str]
    directory: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def send(self, endpoint: str, files: Sequence[Path]) -> tuple[list[Sent], float]:
        """Send all files; what was sent, in the order in which it ended, and the client's CPU seconds. Raises
        RuntimeError when the client has given up a file."""
        order = json.dumps({"endpoint": endpoint, "files": [str(file.resolve()) for file in files]})
        lines: list[bytes] = []
        environment = {**os.environ, **self.environment}
        _, cpu = run_command([*self.command, order], environment, lines.extend, self.directory)
        return parse_sent(lines), cpu


def missing_javascript(package: str) -> str | None:
    """Why a package of tests/javascript cannot be used here; None: it can."""
    if shutil.which("node") is None:
        return "Node.js is not installed"
    if not (MODULES / package).is_dir():
        return f"{package} is not installed; run: make setup-javascript"
    return None


def best_sender() -> Sender:
    """tus-js-client, if this machine has it."""
    if missing_javascript("tus-js-client") is None:
        return Sender("tus-js-client", ["node", "tus_send.js"], JAVASCRIPT)
    command = [sys.executable, "-m", "tests.programs.bench.tus_plain"]
    return Sender("own sender (aiohttp)", command, environment={"PYTHONPATH": import_path()})


def parse_sent(lines: Iterable[bytes]) -> list[Sent]:
    """What a client has printed. Raises RuntimeError, with the first reasons, when it has given up a file."""
    events = [json.loads(line) for line in lines]
    given_up = [event["error"] for event in events if "error" in event]
    if given_up:
        raise RuntimeError(f"the client gave up {len(given_up)} of {len(events)} files: {given_up[:3]}")
    return [
        Sent(
            Path(event["file"]),
            event["url"],
            event["began"] / 1000,
            event["ended"] / 1000,
            event["statuses"],
            event["refusals"],
            event["unanswered"],
        )
        for event in events
    ]


def repeated(sent: Iterable[Sent]) -> dict[str, int]:
    """How many requests the client had to repeat, by what they got."""
    counts: Counter[str] = Counter()
    for one in sent:
        counts.update(one.refusals)
        counts["no response"] += one.unanswered
    return dict(sorted((+counts).items()))

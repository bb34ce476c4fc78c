"""Finds responses that no route documents, in what the gateways of a test session have logged.

Guarantee: a response whose code or status is missing in /openapi.json fails the session, whichever test provoked it
and whichever client received it. A gateway reports it as `response.undocumented`: one in the test's own process prints
that, which pytest captures, and a gateway process writes it to its log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from pipeline.logs import Log


def undocumented_lines(text: str) -> list[str]:
    """The lines that report an undocumented response."""
    return [line for line in text.splitlines() if Log.RESPONSE_UNDOCUMENTED in line]


def undocumented_in_logs(directories: Iterable[Path]) -> Iterator[str]:
    """The same, of every log below these directories, with its path."""
    for directory in directories:
        for path in sorted(directory.rglob("*.log")):
            if path.is_file():
                yield from (f"{path}: {line}" for line in undocumented_lines(path.read_text("utf-8", "replace")))


def fail_if_undocumented(report: pytest.TestReport) -> None:
    """Fail a test, or its set-up, during which a gateway in this process sent such a response."""
    captured = "\n".join(text for name, text in report.sections if name.endswith(f" {report.when}"))
    if report.passed and (lines := undocumented_lines(captured)):
        report.outcome = "failed"
        report.longrepr = "\n".join(["A gateway sent responses that its routes do not document:", *lines])

"""What `sluice doctor` says about the cells of an installation."""

from __future__ import annotations

import pytest

from deploy.cli.doctor.check_cells import CellReply, judge_cells
from deploy.cli.doctor.findings import Findings, Level
from schemas.health import Ready

pytestmark = pytest.mark.unit

URLS = {0: "https://upload.example/cells/0", 1: "https://upload.example/cells/1"}


def ready(cell: int | None, volume: str = "", ahead_seconds: float | None = 0.4) -> CellReply:
    return CellReply(Ready(cell=cell, volume=volume or f"volume-{cell}"), "", ahead_seconds)


def found(first: CellReply, second: CellReply, urls: dict[int, str] | None = None) -> list[tuple[Level, str]]:
    findings = Findings("cells")
    judge_cells(urls or URLS, {0: first, 1: second}, findings)
    return [(finding.level, finding.what) for finding in findings.all if finding.level is not Level.OK]


def test_two_cells_that_are_as_they_should_be() -> None:
    assert found(ready(0), ready(1)) == []


@pytest.mark.parametrize(
    ("second", "level", "what"),
    [
        (CellReply(None, "no response"), Level.WARNING, "cell 1 is not ready at https://upload.example/cells/1: no"),
        (ready(0, "other"), Level.ERROR, "https://upload.example/cells/1 is the URL of cell 1, and leads to a gateway"),
        (ready(None), Level.ERROR, "https://upload.example/cells/1 is the URL of cell 1, and leads to a gateway"),
        (ready(1, "volume-0"), Level.ERROR, "the cells 0, 1 have temp volumes of the same name, 'volume-0'"),
        (ready(1, "", -9.2), Level.WARNING, "the clock of cell 1 differs from ours by 9 s"),
    ],
)
def test_what_is_wrong(second: CellReply, level: Level, what: str) -> None:
    ((level_found, text),) = found(ready(0), second)
    assert (level_found, text.startswith(what)) == (level, True), text


def test_a_url_without_tls() -> None:
    ((level, text),) = found(ready(0), ready(1), {0: "http://127.0.0.1:1", 1: "http://upload.example"})
    assert (level, text) == (Level.WARNING, "http://upload.example has no TLS: clients send keys and files without it")

"""A session whose gateways have sent an undocumented response fails."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import pytest

from pipeline.logs import Log
from tests.harness.undocumented import fail_if_undocumented, undocumented_in_logs

pytestmark = pytest.mark.unit

LINE = f'{{"code": "UPLOAD_RECOVERING", "event": "{Log.RESPONSE_UNDOCUMENTED}"}}'


def report(when: Literal["setup", "call", "teardown"], section: str, text: str) -> pytest.TestReport:
    made = pytest.TestReport("a::b", ("a", 1, "b"), {}, "passed", None, when, sections=[(section, text)])
    fail_if_undocumented(made)
    return made


def test_a_line_in_a_processes_log_is_found() -> None:
    with tempfile.TemporaryDirectory() as directory:  # not below pytest's own, which is searched in the end
        logs = Path(directory) / "cell" / "logs"
        logs.mkdir(parents=True)
        (logs / "gateway.log").write_text(f"{{}}\n{LINE}\n{{}}\n")
        (logs / "worker.log").write_bytes(b"\xff\n")
        assert list(undocumented_in_logs([Path(directory)])) == [f"{logs}/gateway.log: {LINE}"]


@pytest.mark.parametrize("section", ["Captured stdout call", "Captured stderr call", "Captured log call"])
def test_a_line_that_a_test_has_printed_fails_it(section: str) -> None:
    made = report("call", section, f"before\n{LINE}\nafter")
    assert made.failed
    assert LINE in str(made.longrepr)


def test_other_output_and_other_phases_do_not() -> None:
    assert report("call", "Captured stdout call", "all is documented").passed
    assert report("teardown", "Captured stdout call", LINE).passed

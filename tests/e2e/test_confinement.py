"""A machine that cannot confine the media reader: workers refuse to start, or warn where the settings permit it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pipeline.adapters.redis.reads import hash_all
from schemas.status import WorkerFields
from tests.harness.cell import Cell, eventually
from tests.harness.media_samples import sample
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

_SECONDS = 60.0
# What a kernel without seccomp does: there is no such system call (seccomp(2)), and prctl knows no PR_SET_SECCOMP.
_WITHOUT_SECCOMP = """
import errno, os, sys, pyseccomp as s
rules = s.SyscallFilter(s.ALLOW)
rules.add_rule(s.ERRNO(errno.ENOSYS), "seccomp")
rules.add_rule(s.ERRNO(errno.EINVAL), "prctl", s.Arg(0, s.EQ, 22))
rules.load()
os.execv(sys.executable, [sys.executable, "-m", "deploy.cli", *sys.argv[1:]])
"""


async def _start(cell: Cell, mode: str, *words: str) -> asyncio.subprocess.Process:
    environment = {
        **os.environ,
        **cell.environment,
        "SLUICE_MEDIA_CONFINEMENT": mode,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", _WITHOUT_SECCOMP, *words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@asynccontextmanager
async def _started(cell: Cell, mode: str, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await _start(cell, mode, *words)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _output(cell: Cell, mode: str, *words: str) -> tuple[int | None, str, str]:
    process = await _start(cell, mode, *words)
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.parametrize("kind", ["probe", "thumbnail", "all"])
async def test_a_worker_that_reads_files_refuses_to_start(cell: Cell, kind: str) -> None:
    status, output, errors = await _output(cell, "required", "worker", kind)
    assert (status, output) == (1, "")
    (line,) = errors.strip().splitlines()
    assert "cannot be confined" in line
    assert "system calls are not filtered" in line
    assert "SLUICE_MEDIA_CONFINEMENT=best-effort" in line


async def test_a_worker_that_reads_no_files_starts(cell: Cell) -> None:
    async with _started(cell, "required", "worker", "persist") as process:
        assert process.stderr is not None
        async with asyncio.timeout(_SECONDS):
            line = await process.stderr.readline()
        assert json.loads(line)["event"] == "process.started"
        record = await _record(cell, process)
    assert record.confinement is None


async def _record(cell: Cell, process: asyncio.subprocess.Process) -> WorkerFields:
    found: dict[str, str] = {}

    async def is_there() -> bool:
        async for key in cell.redis.scan_iter(f"{cell.keys.prefix}worker:*:{process.pid}"):
            found.update(await hash_all(cell.redis, key))
        return bool(found)

    await eventually(is_there, _SECONDS, lambda: "the worker's record")
    return WorkerFields.model_validate(found, strict=False)


async def _reader_warning(cell: Cell) -> str | None:
    _, body, _ = await cell.call("GET", "/readyz")
    warning: str | None = body["data"]["warnings"].get("media_reader")
    return warning


async def test_with_best_effort_it_warns_everywhere_and_reads(servers: Servers, tmp_path: Path) -> None:
    others = {"worker-rest": ["admission", "transfer", "assemble", "persist"]}
    async with running_cell(servers, tmp_path, workers=others) as cell:
        assert await _reader_warning(cell) is None
        async with _started(cell, "best-effort", "worker", "probe", "thumbnail") as process:
            assert process.stderr is not None
            events = []
            async with asyncio.timeout(_SECONDS):
                while "process.started" not in events:
                    logged = json.loads(await process.stderr.readline())
                    events.append(logged["event"])
                    if logged["event"] == "reader.unconfined":
                        assert any("system calls are not filtered" in gap for gap in logged["gaps"])
            assert "reader.unconfined" in events
            assert (await _record(cell, process)).confinement == "incomplete"

            async def is_warned() -> bool:
                return f":{process.pid}" in (await _reader_warning(cell) or "")

            await eventually(is_warned, _SECONDS, lambda: "the gateway to warn")
            await cell.upload(sample("jpeg").read_bytes())


async def test_a_confined_worker_says_so(cell: Cell) -> None:
    names = [key async for key in cell.redis.scan_iter(f"{cell.keys.prefix}worker:*")]
    records = [WorkerFields.model_validate(await hash_all(cell.redis, name), strict=False) for name in names]
    assert {record.confinement for record in records if "probe" in record.types} == {"complete"}
    assert await _reader_warning(cell) is None


async def test_doctor_reports_it(cell: Cell) -> None:
    for mode, level, expected in (("required", "error", 1), ("best-effort", "warning", 0)):
        status, output, errors = await _output(cell, mode, "doctor", "--json")
        found = [finding for finding in json.loads(output) if finding["check"] == "media reader"]
        assert (level, True) in {(each["level"], "incomplete" in each["finding"]) for each in found}, errors
        assert status == expected

"""`sluice drain` with real processes: nothing new comes in, what is there is finished, and the command says when."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.processes import import_path
from tests.harness.cell import Cell, eventually
from tests.harness.media_samples import sample
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

_JOURNAL_BYTES = 32 * 1024


async def started(cell: Cell, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", *arguments),
        env={**os.environ, **cell.environment, "PYTHONPATH": import_path(), "SLUICE_SERVER": cell.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def room(cell: Cell) -> dict[str, Any]:
    _, body, _ = await cell.call("GET", "/readyz", expect=200)
    found: dict[str, Any] = body["data"]["room"]
    return found


async def until_draining(cell: Cell, wanted: bool) -> None:
    async def seen() -> bool:
        return bool((await room(cell))["draining"]) is wanted

    await eventually(seen, 30, lambda: f"/readyz to say draining={wanted}")


async def create(cell: Cell, size: int, key: str) -> tuple[int, dict[str, Any], Mapping[str, str]]:
    body = {"filename": "file.mp4", "size": size, "content_type": "video/mp4"}
    return await cell.call("POST", "/v1/uploads", json=body, headers={"Idempotency-Key": key})


async def test_a_drained_cell_finishes_what_it_has_and_takes_nothing_new(servers: Servers, tmp_path: Path) -> None:
    video = sample("mp4").read_bytes()
    budget = len(video) + _JOURNAL_BYTES
    async with running_cell(servers, tmp_path, temp_budget_bytes=budget, temp_share=1) as cell:
        status, body, _ = await create(cell, len(video), "first")
        assert status == 201
        first = body["data"]
        cell.uploads.append(first["id"])
        second = await cell.create(len(video))
        assert second["status"] == "waiting"
        drain = await started(cell, "drain", "--volume", cell.settings.volume, "--json")
        await until_draining(cell, True)

        found = await room(cell)
        assert (found["budget"], found["waiting"]) == (budget, 1)
        assert 0 < found["reserved"] <= budget
        assert found["available"] == budget - found["reserved"]
        status, body, headers = await create(cell, 1000, "new")
        assert (status, body["error"]["code"]) == (503, "VOLUME_DRAINING")
        assert int(headers["Retry-After"]) > 0
        status, body, _ = await create(cell, len(video), "first")
        assert (status, body["data"]["id"]) == (200, first["id"]), "a known Idempotency-Key is the same upload"
        _, body, _ = await cell.call("GET", "/v1/status", expect=200)
        assert [volume["draining_since"] is not None for volume in body["data"]["volumes"]] == [True]
        async with cell.http.get(f"{cell.url}/metrics") as response:
            assert f'sluice_volume_draining{{volume="{cell.settings.volume}"}} 1.0' in await response.text()
        assert "is drained" in (await ended(await started(cell, "status")))[2]
        assert drain.returncode is None, "it follows until the cell is empty"

        await cell.put_all(first, video)
        status_code, out, err = await ended(drain)
        assert status_code == 0, err
        lines = [json.loads(line) for line in out.splitlines()]
        assert (lines[0]["empty"], lines[-1]["empty"]) == (False, True)
        assert lines[-1]["waiting"] == 1
        assert (await cell.status(first["id"]))["status"] == "ready"
        assert (await cell.status(second["id"]))["status"] == "waiting", "there is room, and nothing is admitted"

        # What waits is admitted on request only, and keeps the cell from being empty then.
        status_code, out, err = await ended(await started(cell, "drain", "--admit-waiting", "--timeout", "0.5"))
        assert (status_code, "still drained" in err) == (1, True), err
        await cell.until(second["id"], "admitted")
        assert (await create(cell, 1000, "new"))[1]["error"]["code"] == "VOLUME_DRAINING"

        assert (await ended(await started(cell, "drain", "--cancel")))[0] == 0
        await until_draining(cell, False)
        status, body, _ = await create(cell, 1000, "new")
        assert status == 201
        for upload_id in (second["id"], body["data"]["id"]):
            await cell.call("DELETE", f"/v1/uploads/{upload_id}", expect=200)
        await cell.until_clean()


async def test_a_drain_that_is_cancelled_elsewhere_ends(servers: Servers, tmp_path: Path) -> None:
    async with running_cell(servers, tmp_path) as cell:
        upload = await cell.create(1000)
        drain = await started(cell, "drain")
        await until_draining(cell, True)
        assert drain.stdout is not None
        assert b"1 admitted" in await drain.stdout.readline()
        assert (await ended(await started(cell, "drain", "--cancel")))[0] == 0
        status, _, err = await ended(drain)
        assert (status, "was cancelled" in err) == (1, True)
        status, _, err = await ended(await started(cell, "drain", "--volume", "unknown"))
        assert (status, "knows no temp volume 'unknown'" in err) == (1, True)
        await cell.call("DELETE", f"/v1/uploads/{upload['id']}", expect=200)
        await cell.until_clean()

"""Receipts: issued by a gateway, verified by the command line, also when the server is gone."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

from pipeline.adapters.tokens.receipts import Ed25519ReceiptSigner, new_private_key
from schemas.receipts import ReceiptKeys
from tests.e2e.test_integrity import MATROSKA, digest_of
from tests.harness.cell import Cell
from tests.harness.media_samples import long_video
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def signing_cell(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    key = new_private_key()
    directory = tmp_path_factory.mktemp("receipts")
    with cell_processes(servers, directory, receipt_keys=key, receipt_issuer="media.example") as started:
        yield started


async def sluice(*arguments: str | Path, **environment: str) -> tuple[int, str, str]:
    """Exit status and outputs of a command."""
    command = [sys.executable, "-m", "deploy.cli", *map(str, arguments)]
    done = await asyncio.to_thread(
        run, command, env=environment or None, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


async def verified(*arguments: str | Path) -> dict[str, Any]:
    """What `sluice receipt verify --json` prints; its exit status must agree."""
    status, output, error = await sluice("receipt", "verify", "--json", *arguments)
    found: dict[str, Any] = json.loads(output)
    assert status == (0 if found["valid"] else 1), error
    return found


async def keys_of(cell: Cell, path: Path) -> Path:
    """A copy of the server's public keys."""
    async with cell.http.get(f"{cell.url}/v1/receipt-keys") as response:
        assert (response.status, response.content_type) == (200, "application/jwk-set+json")
        path.write_bytes(await response.read())
    return path


async def test_a_receipt_proves_which_bytes_were_taken_in(signing_cell: CellProcesses, tmp_path: Path) -> None:
    data = long_video(900_001)
    video = tmp_path / "film.mkv"
    video.write_bytes(data)
    async with signing_cell.connected() as cell:
        view = await cell.upload(data, **MATROSKA)
        content = await cell.content(view["id"])
        _, body, _ = await cell.call("GET", content["links"]["receipt"], expect=200)
        response = tmp_path / "response.json"
        response.write_text(json.dumps(body))
        status, token, error = await sluice("receipt", "get", view["id"], "--server", cell.url)
        assert status == 0, error
        receipt = tmp_path / "receipt"
        receipt.write_text(token)
        keys = await keys_of(cell, tmp_path / "keys.json")
        at_url = await verified(receipt, "--keys", f"{cell.url}/v1/receipt-keys", "--file", video)
        await cell.call("DELETE", f"/v1/contents/{view['id']}", expect=200)
    found = await verified(response, "--keys", keys, "--file", video)
    claims = found["claims"]
    assert claims == body["data"]["claims"]
    assert (claims["iss"], claims["sub"], claims["owner"]) == ("media.example", view["id"], "default")
    assert (claims["size"], claims["digests"]) == (len(data), [digest_of(data)])
    assert claims["segments"]["count"] == view["segment_count"] > 1
    assert at_url["claims"] == {**claims, "iat": at_url["claims"]["iat"]}

    wrong = bytearray(data)
    wrong[view["segment_size"] + 5] ^= 1
    video.write_bytes(wrong)
    assert (await verified(receipt, "--keys", keys))["valid"], "the receipt alone"
    assert (await verified(receipt, "--keys", keys, "--file", video))["faults"] == [
        f"Segments 2 of {video} differ from the receipt."
    ]
    video.write_bytes(data[:-1])
    (fault,) = (await verified(receipt, "--keys", keys, "--file", video))["faults"]
    assert f"{len(data) - 1} bytes" in fault


async def test_a_receipt_that_is_not_of_this_server(signing_cell: CellProcesses, tmp_path: Path) -> None:
    async with signing_cell.connected() as cell:
        view = await cell.upload(long_video(100_003), **MATROSKA)
        status, token, _ = await sluice("receipt", "get", view["id"], "--server", cell.url)
        keys = await keys_of(cell, tmp_path / "keys.json")
    assert status == 0
    receipt = tmp_path / "receipt"
    header, payload, signature = token.strip().split(".")
    receipt.write_text(".".join((header, payload[:-8] + payload[-4:] + payload[-8:-4], signature)))
    (fault,) = (await verified(receipt, "--keys", keys))["faults"]
    assert "its signature is wrong" in fault
    receipt.write_text(token)
    other = tmp_path / "other.json"
    other.write_text(ReceiptKeys(keys=list(Ed25519ReceiptSigner([new_private_key()]).keys)).model_dump_json())
    (fault,) = (await verified(receipt, "--keys", other))["faults"]
    assert "do not contain" in fault
    status, output, error = await sluice("receipt", "verify", receipt, "--keys", keys)
    assert (status, error) == (0, "")
    assert "Signed by media.example" in output
    receipt.write_text("not a receipt")
    status, output, error = await sluice("receipt", "verify", receipt, "--keys", keys)
    assert (status, output) == (1, "")
    assert "not a JWS" in error


async def test_a_gateway_without_a_key_offers_none(cell: Cell) -> None:
    view = await cell.upload(long_video(100_003), **MATROSKA)
    assert (await cell.content(view["id"]))["links"]["receipt"] is None
    _, body, _ = await cell.call("GET", f"/v1/contents/{view['id']}/receipt", expect=404)
    assert body["error"]["code"] == "RECEIPTS_NOT_OFFERED"
    async with cell.http.get(f"{cell.url}/v1/receipt-keys") as response:
        assert await response.json(content_type="application/jwk-set+json") == {"keys": []}

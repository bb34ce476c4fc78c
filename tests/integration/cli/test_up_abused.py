"""SIGTERM ends `sluice up` within 20 s, servers included, whatever its clients do."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from pathlib import Path

import pytest

from tests.harness.crowds import SLOW_HEAD, crowd, request
from tests.harness.up import Up, wait_until_gone

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

_LONGEST_SECONDS = 20.0
# For stopping twenty processes on a busy machine. Before there were limits, an abused run took 60 to 75 s.
_MARGIN_SECONDS = 20.0


def _created(url: str) -> str:
    body = json.dumps({"filename": "a.mp4", "size": 10_000_000, "content_type": "video/mp4"}).encode()
    sent = urllib.request.Request(f"{url}/v1/uploads", body, {"Content-Type": "application/json"})  # noqa: S310  # loopback
    with urllib.request.urlopen(sent, timeout=30) as response:  # noqa: S310  # see above
        name: str = json.load(response)["data"]["id"]
    return name


async def test_an_abused_run_ends_in_time(tmp_path: Path) -> None:
    up = Up(tmp_path)
    try:
        up.wait_for("environment")
        url = up.shell('printf %s "$SLUICE_SERVER"').stdout
        name = _created(url)
        path = f"/v1/uploads/{name}"
        put = request("PUT", f"{path}/segments/1", {"Content-Length": "10000000"})
        async with crowd(url) as abusers:
            await abusers.join(50)
            await abusers.join(20, SLOW_HEAD)
            await abusers.join(20, put + b"x")
            await abusers.join(20, request("GET", f"{path}/events"), reads=False)
            family = up.family()
            began = time.monotonic()
            up.process.send_signal(signal.SIGTERM)
            assert up.end() == 0
            wait_until_gone(family)
            assert time.monotonic() - began < _LONGEST_SECONDS + _MARGIN_SECONDS
    finally:
        up.close()

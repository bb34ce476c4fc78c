"""Every curl line of the description, run by bash against a gateway that requires keys."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from deploy.access_table import OWNER
from gateway.app import ALL_ROUTES
from gateway.curl_lines import curl_line
from gateway.routing import Route
from pipeline.core.access import Scope
from pipeline.core.error_codes import CATALOGUE
from pipeline.settings import Settings
from tests.harness.system_packages import require_programs
from tests.integration.gateway.conftest import OPTIONS, SEGMENT_BYTES
from tests.integration.gateway.site import Site, running_site

pytestmark = pytest.mark.integration

SECRET = "e" * 32
# The store of these tests cannot be reached, and the lines name ids of uploads in other states.
_OF_THE_SITUATION = {
    *("STORE_UNAVAILABLE", "TRANSPORT_DIFFERS", "IMPORT_NOT_ALLOWED", "MULTIPART_REQUIRED"),
    "status 503",
}


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    require_programs(["curl", "bash"], ["curl", "bash"])
    receipt_keys = (SecretStr("A" * 43),)
    roomy = settings.model_copy(update={"temp_budget_bytes": 2**30, "receipt_keys": receipt_keys})
    options = OPTIONS.__class__(events_token=type(settings.events_token)(SECRET))
    async with running_site(roomy, options) as running:
        yield running


async def run(lines: str, directory: Path, **variables: str) -> str:
    """Standard output of bash, which ends with the status of each response, one a line."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", f"curl() {{ command curl -sS -w '\\n%{{http_code}}' \"$@\"; }}\n{lines}"),
        env={"PATH": os.environ["PATH"], **variables},
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return output.decode(errors="replace")


def code_of(output: str) -> Any:
    """The error code of the response, None for a success, `status 503` where the line does not print the body."""
    body, _, last = output.rpartition("\n")
    status = int(last)
    if status < 400:
        return None
    if not body.startswith("{"):  # curl -f
        return f"status {status}"
    code = json.loads(body)["error"]["code"]
    assert CATALOGUE[code].http_status == status
    return code


async def test_every_line_is_a_request_that_its_route_accepts(site: Site, tmp_path: Path) -> None:
    (tmp_path / "segment.bin").write_bytes(bytes(SEGMENT_BYTES))
    key = await site.key(OWNER, *Scope)
    refused: dict[str, str] = {}

    async def check(route: Route) -> None:
        name = await site.new_upload()
        await site.new_content(name)
        directory = tmp_path / route.handler.__module__ / route.handler.__name__
        directory.mkdir(parents=True)
        (directory / "segment.bin").symlink_to(tmp_path / "segment.bin")
        variables = {"SLUICE_SERVER": site.client.url, "SLUICE_KEY": key, "SLUICE_EVENTS_TOKEN": SECRET, "ID": name}
        if "{webhook}" in route.path:
            variables["WEBHOOK"] = await site.new_webhook()
        if route.path.endswith("/events"):  # the stream ends with the upload
            await site.with_(key, "DELETE", f"/v1/uploads/{name}")
        output = await run(curl_line(route), directory, **variables)
        if route.path.endswith("/thumbnail"):
            assert output.endswith("\n404"), "there is none"
        elif (code := code_of(output)) is not None and code not in _OF_THE_SITUATION:
            refused[f"{route.method} {route.path}"] = output

    for route in ALL_ROUTES:
        if "{name}" not in route.path:  # a file of a page
            await check(route)
    assert refused == {}


async def test_a_line_without_its_key_is_refused(site: Site, tmp_path: Path) -> None:
    output = await run(curl_line(ALL_ROUTES[0]), tmp_path, SLUICE_SERVER=site.client.url, SLUICE_KEY="wrong")
    assert code_of(output) == "CREDENTIAL_INVALID"

"""Files of the pages: their types, policies and validators."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from gateway.pages import assets
from tests.integration.gateway.conftest import Gateway

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("name", sorted(assets._assets()))
async def test_a_file_is_revalidated(gateway: Gateway, name: str) -> None:
    first = await gateway.client.request("GET", f"/assets/{name}")
    assert first.status == 200
    assert first.body == assets._assets()[name].body
    assert first.headers["Content-Type"].startswith(("text/javascript", "text/css", "text/plain", "image/svg+xml"))
    assert first.headers["Cache-Control"] == "no-cache"
    assert first.headers["X-Content-Type-Options"] == "nosniff"
    again = await gateway.client.request("GET", f"/assets/{name}", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("name", ["missing.js", "..%2Fassets.py", "upload.html"])
async def test_only_listed_files_are_served(gateway: Gateway, name: str) -> None:
    assert (await gateway.client.request("GET", f"/assets/{name}")).status == 404


def test_no_two_files_have_one_name() -> None:
    folders = [files("gateway.pages") / folder for folder in ("static", "client")]
    names = [entry.name for folder in folders for entry in folder.iterdir() if entry.name.endswith((".js", ".css"))]
    assert len(names) == len(set(names))


def test_pages_and_modules_refer_to_files_that_exist() -> None:
    names = set(assets._assets())
    for name, asset in assets._assets().items():
        if name.endswith(".js"):
            found = re.findall(r"""(?:from |import\(|new URL\(|import )["']\./([^"']+)["']""", asset.body.decode())
            assert set(found) <= names, name
    for page in (files("gateway.pages") / "static").iterdir():
        if page.name.endswith(".html"):
            text = page.read_text("utf-8")
            assert set(re.findall(r'(?:src|href)="assets/([^"]+)"', text)) <= names, page.name
            assert "<style" not in text
            assert " style=" not in text

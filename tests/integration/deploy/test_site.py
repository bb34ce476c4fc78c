"""The documentation as a site: it is built without a warning or a network, and its pages request no other host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.harness.chromium import chromium
from tests.harness.markdown_files import REPOSITORY

pytestmark = pytest.mark.integration

_NO_NETWORK: Final = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9")
_FOREIGN: Final = re.compile(r"\s*(?:[a-z]+:)?//", re.IGNORECASE)
_REQUESTING: Final = {"src", "srcset", "poster", "data", "action", "background"}
_LINKS: Final = {"a", "area"}


class _Requests(HTMLParser):
    """What a page requests of other hosts by itself, and how many tags stand before its content security policy."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.foreign: list[str] = []
        self.policy = ""
        self.requested_before_policy: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "meta" and values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"]
        names = _REQUESTING if tag in _LINKS else {*_REQUESTING, "href", "xlink:href"}
        requested = [values[name] for name in names & values.keys()]
        if requested and not self.policy:
            self.requested_before_policy += requested
        self.foreign += [value for value in requested if _FOREIGN.match(value)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make site` builds it."""
    directory = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)],
        cwd=REPOSITORY,
        env={**os.environ, **_NO_NETWORK, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return directory


def _pages(site: Path) -> dict[str, str]:
    return {str(path.relative_to(site)): path.read_text("utf-8") for path in site.rglob("*.html") if path.is_file()}


def test_every_page_of_the_documentation_is_there(site: Path) -> None:
    pages = _pages(site)
    for path in (REPOSITORY / "docs").rglob("*.md"):
        name = path.relative_to(REPOSITORY / "docs").with_suffix("")
        assert ("index.html" if str(name) == "index" else f"{name}/index.html") in pages
    for page in ("architecture", "changelog", "deploy/cdn", "deploy/kubernetes", "reference/javascript"):
        assert f"{page}/index.html" in pages


def test_no_page_requests_another_host(site: Path) -> None:
    for name, page in _pages(site).items():
        requests = _Requests(page)
        assert requests.foreign == [], name
        assert "default-src 'self'" in requests.policy, name
        assert re.findall(r"https?:", requests.policy) == [], name
        assert requests.requested_before_policy == [], name
        # The theme's script would load Mermaid, and figures of a code host, for elements of these classes.
        assert not re.search(r'class="[^"]*\bmermaid\b|data-md-component="?source\b', page), name
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", style.read_text("utf-8")), style.name


def test_linked_files_of_the_repository_are_shown(site: Path) -> None:
    shown = (site / "source/schemas/status.py/index.html").read_text("utf-8")
    assert "schemas/status.py" in shown
    listing = (site / "source/deploy/compose/index.html").read_text("utf-8")
    assert 'href="compose.yaml/"' in listing
    assert not (site / "source/deploy/compose/.env").exists()
    assert not (site / "examples").exists()


def test_markdown_is_shown_as_a_code_host_shows_it(site: Path) -> None:
    """Python-Markdown by itself would see no list below a line of text, and show the backslash of a pipe."""
    production = (site / "production/index.html").read_text("utf-8")
    assert re.search(r"<p>You need:</p>\s*<ul>", production)
    scaling = (site / "scaling/index.html").read_text("utf-8")
    assert "probe|thumbnail" in scaling
    assert "probe\\|thumbnail" not in scaling


@pytest.mark.browser
async def test_the_search_works_and_wide_tables_scroll(site: Path, tmp_path: Path) -> None:
    app = web.Application()
    app.router.add_static("/", site)
    async with TestServer(app) as server, chromium(tmp_path) as browser:
        origin = f"http://{server.host}:{server.port}"
        page = await browser.page(1280, 900)
        found = "document.querySelectorAll('.md-search-result__item').length > 2"
        await page.open(f"{origin}/index.html?q=multipart", found)
        assert page.errors == []
        phone = await browser.page(390, 844)
        await phone.open(f"{origin}/reference/settings/index.html", "document.querySelector('.md-typeset__table')")
        assert await phone.run("document.documentElement.scrollWidth <= innerWidth")
        wide = "document.querySelector('.md-typeset__scrollwrap')"
        assert await phone.run(f"{wide}.scrollWidth > {wide}.clientWidth")
        assert phone.errors == []

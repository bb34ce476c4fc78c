"""/docs in Chromium, on a phone and on a desk, light and dark: nothing overflows, everything works by keyboard, each
route has a section with its curl line, and axe finds nothing serious."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.app import ALL_ROUTES
from gateway.curl_lines import curl_line
from pipeline.core.error_codes import CATALOGUE
from pipeline.core.webhooks import SUBSCRIBED, event_id
from tests.harness.axe import COLOURS, serious
from tests.harness.chromium import Browser, Page, chromium
from tests.harness.system_packages import require_programs
from tests.integration.gateway.conftest import Gateway

pytestmark = [pytest.mark.integration, pytest.mark.browser]

PHONE = (390, 844)
DESK = (1440, 1000)
DRAWN = "document.documentElement?.dataset.drawn"
FOCUSED = "document.activeElement.id || document.activeElement.hash"


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    require_programs(["chromium"], ["chromium"])
    async with chromium(tmp_path / "profile") as running:
        yield running


async def opened(
    browser: Browser, gateway: Gateway, size: tuple[int, int], anchor: str = "", dark: bool = False
) -> Page:
    page = await browser.page(*size, dark=dark)
    await page.open(f"{gateway.url}/docs{anchor}", DRAWN)
    return page


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
async def test_the_page_fits_and_is_accessible(
    browser: Browser, gateway: Gateway, size: tuple[int, int], dark: bool
) -> None:
    page = await opened(browser, gateway, size, dark=dark)
    rules = COLOURS if dark else ()  # the light page shows the same elements
    await page.run("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert await page.run("document.documentElement.scrollWidth") == size[0]
    assert await serious(page, rules) == []
    if size == PHONE:
        await page.run("byId('menu').click()")
        assert await page.run("document.documentElement.scrollWidth") == size[0]
        assert await serious(page, rules) == []
    assert page.errors == []


async def test_every_route_has_a_section_with_its_curl_line(browser: Browser, gateway: Gateway) -> None:
    page = await opened(browser, gateway, DESK)
    shown = await page.run(
        "Object.fromEntries([...document.querySelectorAll('section.route')].map((section) =>"
        "[section.querySelector('.call').textContent,"
        " [...section.querySelectorAll('.samples pre')].map((block) => block.textContent)]))"
    )
    assert set(shown) == {f"{route.method} {route.path}" for route in ALL_ROUTES}
    for route in ALL_ROUTES:
        blocks = shown[f"{route.method} {route.path}"]
        assert blocks[0] == curl_line(route)
        if any(response.data and not response.bare for response in route.responses):
            assert '"success": true' in blocks[1]
    assert set(CATALOGUE) == set(await page.run("[...document.querySelectorAll('#catalogue li')].map(({id}) => id)"))


async def test_every_event_has_a_section_with_its_body(browser: Browser, gateway: Gateway) -> None:
    page = await opened(browser, gateway, DESK)
    shown = await page.run(
        "Object.fromEntries([...document.querySelectorAll('section.event')].map((section) =>"
        "[section.id, [section.querySelector('pre').textContent,"
        " [...section.querySelectorAll('.name')].map((name) => name.textContent)]]))"
    )
    headers, names = shown.pop("events")
    assert headers.startswith("webhook-id: ")
    assert {"webhook-signature", "traceparent", "type", "timestamp", "data"} <= set(names)
    assert set(shown) == {event_id(kind, "webhook") for kind in SUBSCRIBED}
    for kind in SUBSCRIBED:
        body, names = shown[event_id(kind, "webhook")]
        event = json.loads(body)
        assert event["type"] == kind
        assert set(event["data"]) <= set(names)
    await page.press("/", *"media.known")
    left = await page.run("[...document.querySelectorAll('section.event:not([hidden])')].map(({id}) => id)")
    assert left == ["events", "webhook_media-known"]
    assert " 2 events, " in await page.run("byId('found').textContent")
    await page.run("{ location.hash = '#webhook_content-ready'; }")
    await page.until("document.activeElement.id === 'webhook_content-ready'")


async def test_fields_of_nested_objects_are_shown_in_place(browser: Browser, gateway: Gateway) -> None:
    page = await opened(browser, gateway, DESK)
    names = await page.run("[...byId('contents.show').querySelectorAll('.name')].map((name) => name.textContent)")
    assert {"object", "digest", "media", "streams", "coded_width", "colour", "primaries", "channel_layout"} <= set(
        names
    )
    body = await page.run("byId('uploads.create').querySelector('.fields:nth-of-type(2) > li').textContent")
    assert body.startswith("filename string required")


async def test_the_menu_of_a_phone_works_by_keyboard(browser: Browser, gateway: Gateway) -> None:
    page = await opened(browser, gateway, PHONE)
    hidden = "getComputedStyle(byId('side')).display === 'none'"
    assert await page.run(hidden)
    await page.press("Tab", "Tab", "Enter")
    assert await page.run("[byId('menu').getAttribute('aria-expanded'), byId('main').inert]") == ["true", True]
    await page.press("Escape")
    assert await page.run(hidden)
    assert await page.run("[document.activeElement.id, byId('main').inert]") == ["menu", False]
    await page.press("Enter")
    for _ in range(40):
        await page.press("Tab")
        if await page.run(FOCUSED) == "#segments.put":
            break
    await page.press("Enter")
    await page.until("document.activeElement.id === 'segments.put'")
    assert await page.run(hidden)
    assert await page.run("location.hash") == "#segments.put"
    top = await page.run("byId('segments.put').getBoundingClientRect().top")
    assert 0 <= top < PHONE[1] / 2


async def test_the_filter_leaves_what_matches(browser: Browser, gateway: Gateway) -> None:
    page = await opened(browser, gateway, DESK)
    visible = "[...document.querySelectorAll('section.route:not([hidden])')].map(({id}) => id)"
    await page.press("/")
    assert await page.run(FOCUSED) == "filter"
    await page.press(*"segment_stalled")
    assert await page.run(visible) == ["segments.put"]
    assert await page.run("byId('found').textContent") == "1 route, 1 error code"
    assert await page.run("[...document.querySelectorAll('#contents > a:not([hidden])')].map(({hash}) => hash)") == [
        *("#guide", "#guide-module", "#guide-tus", "#segments.put", "#errors")
    ]
    await page.run("{ location.hash = '#contents.show'; }")
    await page.until("document.activeElement.id === 'contents.show'")
    assert len(await page.run(visible)) == len(ALL_ROUTES), "a link to a hidden section ends the filter"


@pytest.mark.parametrize("anchor", ["#uploads.create", "#UPLOAD_WAITING", "#guide-tus"])
async def test_an_address_leads_to_its_section(browser: Browser, gateway: Gateway, anchor: str) -> None:
    page = await opened(browser, gateway, PHONE, anchor)
    await page.until(f"document.activeElement.id === '{anchor[1:]}'")
    assert 0 <= await page.run("document.activeElement.getBoundingClientRect().top") < PHONE[1] / 2

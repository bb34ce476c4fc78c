"""Links use the client's own address unless `public_url` is set; forwarded headers count only if trusted."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from pydantic import ValidationError

from gateway.http.links import base_url
from gateway.http.state import OPTIONS
from gateway.options import GatewayOptions
from gateway.server import options_from
from pipeline.settings import Settings

pytestmark = pytest.mark.unit

FORWARDED = {"Host": "10.0.0.1:8080", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example, proxy"}


def base(headers: Mapping[str, str], options: GatewayOptions) -> str:
    app = web.Application()
    app[OPTIONS] = options
    return base_url(make_mocked_request("GET", "/", headers=headers, app=app))


@pytest.mark.parametrize(
    ("headers", "options", "expected"),
    [
        ({"Host": "up.example"}, GatewayOptions(), "http://up.example"),
        ({"Host": "[::1]:8080"}, GatewayOptions(), "http://[::1]:8080"),
        ({"Host": "up.example"}, GatewayOptions(public_url="https://public.example/x"), "https://public.example/x"),
        (FORWARDED, GatewayOptions(), "http://10.0.0.1:8080"),
        (FORWARDED, GatewayOptions(trust_forwarded=True), "https://a.example"),
        ({**FORWARDED, "X-Forwarded-Proto": "javascript"}, GatewayOptions(trust_forwarded=True), "http://a.example"),
        ({"Host": "h", "X-Forwarded-Host": "a/b?c"}, GatewayOptions(trust_forwarded=True), "http://127.0.0.1:80"),
    ],
)
def test_base_url(headers: Mapping[str, str], options: GatewayOptions, expected: str) -> None:
    found = base(headers, options)
    if expected.endswith(
        "127.0.0.1:80"
    ):  # an invalid host: the gateway's own address, which a mocked transport does not have
        assert "a/b" not in found
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        ("https://up.example", "https://up.example"),
        ("https://up.example/", "https://up.example"),
        ("http://up.example:8080/sluice/", "http://up.example:8080/sluice"),
    ],
)
def test_the_configured_url_may_end_in_a_slash(configured: str, expected: str) -> None:
    assert base({"Host": "h"}, options_from(Settings(public_url=configured), 100)) == expected


def test_with_several_cells_links_lead_to_the_own_one() -> None:
    cells = "0=https://up.example/cells/0,1=https://up.example/cells/1/"
    options = options_from(Settings(cell=1, cells=cells), 100)
    assert base({"Host": "h"}, options) == "https://up.example/cells/1"
    own = options_from(Settings(cell=1, cells=cells, public_url="https://own.example"), 100)
    assert base({"Host": "h"}, own) == "https://own.example"


@pytest.mark.parametrize("configured", ["up.example", "//up.example", "ftp://up.example", "https://up.example/?a=b"])
def test_a_configured_url_that_could_not_be_followed_is_refused(configured: str) -> None:
    with pytest.raises(ValidationError):
        Settings(public_url=configured)

"""Which redirects the command line follows: it sends its key to their targets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from yarl import URL

from deploy.cli.errors import ApiError
from deploy.cli.responses import in_other_cell

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("code", "url", "location", "is_followed"),
    [
        ("UPLOAD_IN_OTHER_CELL", "https://a.example/v1/x", "https://b.example/c/1/v1/x?a=%2f", True),
        ("CREATE_IN_OTHER_CELL", "http://a.example/v1/x", "http://b.example/v1/x", True),
        ("CREATE_IN_OTHER_CELL", "http://a.example/v1/x", "https://b.example/v1/x", True),
        ("CREATE_IN_OTHER_CELL", "https://a.example/v1/x", "http://a.example/v1/x", False),
        ("CREATE_IN_OTHER_CELL", "https://a.example/v1/x", "ftp://a.example/v1/x", False),
        ("CREATE_IN_OTHER_CELL", "https://a.example/v1/x", "/v1/x", False),
        ("CREATE_IN_OTHER_CELL", "https://a.example/v1/x", "https://[a/v1/x", False),
        ("CREATE_IN_OTHER_CELL", "https://a.example/v1/x", "", False),
        ("UPLOAD_NOT_FOUND", "https://a.example/v1/x", "https://b.example/v1/x", False),
    ],
)
def test_only_to_another_cell_and_never_without_tls(code: str, url: str, location: str, is_followed: bool) -> None:
    response = cast(Any, SimpleNamespace(url=URL(url), headers={"Location": location}))
    target = in_other_cell(response, ApiError(status=307, code=code, message="moved"))
    assert (str(target) if target else None) == (location if is_followed else None)

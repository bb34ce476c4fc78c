"""`Upload-Concat`, as clients and proxies write it."""

from __future__ import annotations

import pytest

from gateway.protocols.concatenation import MOST_PARTS, Joined, parse
from pipeline.core.errors import RequestError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("sent", "expected"),
    [([], False), (["partial"], True), ([" partial "], True)],
)
def test_what_is_no_list(sent: list[str], expected: bool) -> None:  # a value that the test compares
    assert parse(sent) is expected


@pytest.mark.parametrize(
    "text",
    [
        "final;http://h.example/files/a https://h.example:8/x/files/b",
        "final;/files/a /files/b",
        "final; /files/a  /files/b ",
        "final;%2Ffiles%2Fa /files/b?x=1#y",
        "final;files/a /files/b/",
    ],
)
def test_forms_of_a_list(text: str) -> None:
    assert parse([text]) == Joined(("a", "b"), text.strip())


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (["partial", "partial"], "UPLOAD_HEADER_INVALID"),
        (["partial;x"], "UPLOAD_HEADER_INVALID"),
        (["Final;/files/a"], "UPLOAD_HEADER_INVALID"),
        (["final"], "UPLOAD_HEADER_INVALID"),
        (["final;"], "UPLOAD_HEADER_INVALID"),
        (["final;/files/a /files/a"], "UPLOAD_HEADER_INVALID"),
        (["final;" + " ".join(f"/files/{n}" for n in range(MOST_PARTS + 1))], "UPLOAD_HEADER_INVALID"),
        (["final;/v1/uploads/a"], "UPLOAD_NOT_FOUND"),
        (["final;/files/a/b"], "UPLOAD_NOT_FOUND"),
        (["final;/files/"], "UPLOAD_NOT_FOUND"),
        (["final;/files/a%00"], "UPLOAD_NOT_FOUND"),
        (["final;http://[/files/a"], "UPLOAD_NOT_FOUND"),
    ],
)
def test_what_is_refused(sent: list[str], code: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse(sent)
    assert refused.value.code == code

"""What a person is told about errors."""

from __future__ import annotations

import pytest

from deploy.cli.advice import ADVICE
from deploy.cli.errors import ApiError
from pipeline.core.errors import CATALOGUE

pytestmark = pytest.mark.unit


def test_every_code_of_the_catalogue_was_thought_of_and_no_other() -> None:
    assert set(ADVICE) == set(CATALOGUE)


def test_an_error_says_what_happened_what_to_do_and_its_code() -> None:
    error = ApiError(status=422, code="NOT_MEDIA", message="The file is no video.")
    assert str(error) == (
        "The file is no video. Sluice takes videos, images and audio only; nothing of the file was kept. [NOT_MEDIA]"
    )


def test_a_servers_fault_names_the_request() -> None:
    assert str(ApiError(status=500, code="INTERNAL", message="Oh.", request_id="r-1")).endswith(
        "[INTERNAL] (request r-1)"
    )


def test_a_code_from_a_newer_server_is_told_as_it_came() -> None:
    assert str(ApiError(status=418, code="TEAPOT", message="I am a teapot.")) == "I am a teapot. [TEAPOT]"


def test_wrong_fields_are_named() -> None:
    error = ApiError(status=422, code="VALIDATION_FAILED", message="Wrong.", detail={"fields": ["size"]})
    assert "['size']" in str(error)

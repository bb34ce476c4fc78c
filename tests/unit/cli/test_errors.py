"""How errors are printed."""

from __future__ import annotations

import pytest

from deploy.cli.advice import ADVICE
from deploy.cli.errors import ApiError
from pipeline.core.error_codes import CATALOGUE

pytestmark = pytest.mark.unit


def test_every_code_of_the_catalogue_has_advice_and_no_other_code_has() -> None:
    assert set(ADVICE) == set(CATALOGUE)


def test_an_error_is_printed_with_its_message_advice_and_code() -> None:
    error = ApiError(status=422, code="NOT_MEDIA", message="The file is no video.")
    assert str(error) == (
        "The file is no video."
        " Sluice accepts only video, image and audio files. Nothing of this file was kept. [NOT_MEDIA]"
    )


def test_a_server_error_is_printed_with_the_request_id() -> None:
    assert str(ApiError(status=500, code="INTERNAL", message="Oh.", request_id="r-1")).endswith(
        "[INTERNAL] (request r-1)"
    )


def test_an_unknown_code_from_a_newer_server_is_printed_without_advice() -> None:
    assert str(ApiError(status=418, code="TEAPOT", message="I am a teapot.")) == "I am a teapot. [TEAPOT]"


def test_a_validation_error_names_the_invalid_fields_as_a_person_would() -> None:
    fields = [{"field": "size", "message": "Must be positive."}, {"field": "metadata.a", "message": "Too long"}]
    error = ApiError(status=422, code="VALIDATION_FAILED", message="Wrong.", detail={"fields": fields})
    assert str(error).startswith("The server refused size: Must be positive; metadata.a: Too long. Check ")


@pytest.mark.parametrize("fields", [None, "size", ["size"], [{}], {"size": 1}])
def test_a_validation_error_of_another_shape_keeps_its_message(fields: object) -> None:
    error = ApiError(status=422, code="VALIDATION_FAILED", message="Wrong.", detail={"fields": fields})
    assert str(error).startswith("Wrong. ")

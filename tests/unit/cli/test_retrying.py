"""Which failed requests are sent again, and when."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.cli.errors import ApiError, ClientError, FileChangedError, ServerAwayError
from deploy.cli.retrying import decide
from pipeline.core.errors import CATALOGUE
from pipeline.core.retry import GiveUp, RetryAfter, RetryPolicy

pytestmark = pytest.mark.unit

POLICY = RetryPolicy(max_attempts=4, base_seconds=1.0, cap_seconds=8.0)


def api_error(status: int, code: str = "INTERNAL", retry_after_seconds: float | None = None) -> ApiError:
    return ApiError(status=status, code=code, message="...", retry_after_seconds=retry_after_seconds)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 507])
def test_what_may_succeed_later_is_sent_again(status: int) -> None:
    assert isinstance(decide(api_error(status), 1, POLICY, 0.5), RetryAfter)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 501, 505])
def test_what_cannot_succeed_is_not(status: int) -> None:
    assert decide(api_error(status, "X"), 1, POLICY, 0.5) == GiveUp("X")


def test_no_answer_is_worth_another_try() -> None:
    assert isinstance(decide(ServerAwayError("http://here", "reset"), 1, POLICY, 0.5), RetryAfter)


def test_a_changed_file_is_not() -> None:
    assert isinstance(decide(FileChangedError(Path("f")), 1, POLICY, 0.5), GiveUp)


def test_a_segment_that_was_cut_off_is_sent_again() -> None:
    assert isinstance(decide(api_error(400, "SEGMENT_CUT_OFF"), 3, POLICY, 0.5), RetryAfter)


def test_a_wrong_digest_is_tried_three_times_only() -> None:
    error = api_error(400, "SEGMENT_DIGEST_WRONG")
    patient = RetryPolicy(max_attempts=12)
    assert isinstance(decide(error, 2, patient, 0.5), RetryAfter)
    assert isinstance(decide(error, 3, patient, 0.5), GiveUp)


def test_patience_ends() -> None:
    assert isinstance(decide(api_error(503), 3, POLICY, 0.5), RetryAfter)
    assert isinstance(decide(api_error(503), 4, POLICY, 0.5), GiveUp)


@pytest.mark.parametrize(("attempt", "jitter", "seconds"), [(1, 0.0, 0.5), (1, 1.0, 1.0), (3, 0.0, 2.0), (3, 1.0, 4.0)])
def test_delays_double_between_half_and_the_whole_step(attempt: int, jitter: float, seconds: float) -> None:
    assert decide(api_error(503), attempt, POLICY, jitter) == RetryAfter(seconds)


def test_delays_are_capped() -> None:
    assert decide(api_error(503), 30, RetryPolicy(99, 1.0, 8.0), 1.0) == RetryAfter(8.0)


def test_retry_after_is_a_lower_bound() -> None:
    assert decide(api_error(503, retry_after_seconds=60), 1, POLICY, 0.5) == RetryAfter(60)
    assert decide(api_error(503, retry_after_seconds=0), 1, POLICY, 0.0) == RetryAfter(0.5)


def test_it_agrees_with_the_catalogue_on_what_is_worth_retrying() -> None:
    # A waiting upload is not retried blindly: the client looks at it, and waits.
    decided_elsewhere = {"UPLOAD_WAITING"}
    # The catalogue speaks of stages; the same code as an answer over HTTP says that the bytes were damaged on the way.
    mended_by_the_client = {"SEGMENT_DIGEST_WRONG"}
    for code, spec in CATALOGUE.items():
        if code in decided_elsewhere | mended_by_the_client or spec.http_status >= 500:
            continue
        error: ClientError = api_error(spec.http_status, code)
        assert isinstance(decide(error, 1, POLICY, 0.5), RetryAfter) == spec.retryable, code

"""Which failed requests the client repeats, and when."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.cli.errors import ApiError, ClientError, FileChangedError, NoResponseError, NotSluiceError
from deploy.cli.retrying import decide, is_wait
from pipeline.core.error_codes import CATALOGUE
from pipeline.core.retry import GiveUp, RetryAfter, RetryPolicy

pytestmark = pytest.mark.unit

POLICY = RetryPolicy(max_attempts=4, base_seconds=1.0, cap_seconds=8.0)


def api_error(status: int, code: str = "INTERNAL", retry_after_seconds: float | None = None) -> ApiError:
    return ApiError(status=status, code=code, message="...", retry_after_seconds=retry_after_seconds)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 507])
def test_a_request_that_may_succeed_later_is_repeated(status: int) -> None:
    assert isinstance(decide(api_error(status), 1, POLICY, 0.5), RetryAfter)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 501, 505])
def test_a_request_that_cannot_succeed_is_not_repeated(status: int) -> None:
    assert decide(api_error(status, "X"), 1, POLICY, 0.5) == GiveUp("X")


def test_a_request_without_a_response_is_repeated() -> None:
    assert isinstance(decide(NoResponseError("http://here", "reset"), 1, POLICY, 0.5), RetryAfter)


def test_a_changed_file_is_not_sent_again() -> None:
    assert isinstance(decide(FileChangedError(Path("f")), 1, POLICY, 0.5), GiveUp)


def test_a_segment_that_was_cut_off_is_sent_again() -> None:
    assert isinstance(decide(api_error(400, "SEGMENT_CUT_OFF"), 3, POLICY, 0.5), RetryAfter)


def test_a_segment_with_a_wrong_digest_is_sent_three_times_at_most() -> None:
    error = api_error(400, "SEGMENT_DIGEST_WRONG")
    patient = RetryPolicy(max_attempts=12)
    assert isinstance(decide(error, 2, patient, 0.5), RetryAfter)
    assert isinstance(decide(error, 3, patient, 0.5), GiveUp)


def test_a_full_window_is_left_to_the_uploader() -> None:
    assert decide(api_error(503, "SEGMENT_WINDOW_FULL", 1), 1, POLICY, 0.5) == GiveUp("SEGMENT_WINDOW_FULL")


def test_the_number_of_attempts_is_limited() -> None:
    assert isinstance(decide(api_error(503), 3, POLICY, 0.5), RetryAfter)
    assert isinstance(decide(api_error(503), 4, POLICY, 0.5), GiveUp)


@pytest.mark.parametrize(("attempt", "jitter", "seconds"), [(1, 0.0, 0.5), (1, 1.0, 1.0), (3, 0.0, 2.0), (3, 1.0, 4.0)])
def test_delays_double_between_half_and_the_whole_step(attempt: int, jitter: float, seconds: float) -> None:
    assert decide(api_error(503), attempt, POLICY, jitter) == RetryAfter(seconds)


def test_delays_are_capped() -> None:
    assert decide(api_error(503), 30, RetryPolicy(99, 1.0, 8.0), 1.0) == RetryAfter(8.0)


def test_retry_after_is_a_lower_bound_of_the_delay() -> None:
    assert decide(api_error(503, retry_after_seconds=60), 1, POLICY, 0.5) == RetryAfter(60)
    assert decide(api_error(503, retry_after_seconds=0), 1, POLICY, 0.0) == RetryAfter(0.5)


def test_it_retries_the_codes_that_the_catalogue_calls_retryable() -> None:
    # UPLOAD_WAITING: the client does not repeat the request but follows the upload until it is admitted.
    # SEGMENT_DIGEST_WRONG: the catalogue's value is about stages; in a response it means damage on the way.
    for code, spec in CATALOGUE.items():
        if code in ("UPLOAD_WAITING", "SEGMENT_DIGEST_WRONG") or spec.http_status >= 500:
            continue
        error: ClientError = api_error(spec.http_status, code)
        assert isinstance(decide(error, 1, POLICY, 0.5), RetryAfter) == spec.retryable, code


LIMITS = [code for code, spec in CATALOGUE.items() if spec.http_status == 429]


@pytest.mark.parametrize("code", LIMITS)
def test_a_limit_of_the_server_is_waited_for_as_often_as_it_takes(code: str) -> None:
    error = api_error(429, code, retry_after_seconds=3600.0)
    assert is_wait(error)
    for attempt in (1, POLICY.max_attempts, 1000):
        assert decide(error, attempt, POLICY, 0.5) == RetryAfter(3600.0)


def test_a_proxy_that_limits_requests_is_not_waited_for_without_end() -> None:
    error = NotSluiceError("http://here", 429, "not in Sluice's format", 1.0)
    assert not is_wait(error)
    assert isinstance(decide(error, POLICY.max_attempts, POLICY, 0.5), GiveUp)

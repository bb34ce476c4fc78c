"""The formulas of `sluice plan`, with values that were computed by hand."""

from __future__ import annotations

import pytest

from deploy.cli.plan_constants import Constants, MediaKind, ProcessCost, RedisBytes
from deploy.cli.plan_errors import PlanError
from deploy.cli.plan_model import Limits, Load, Plan, arrivals, make_plan, poisson_quantile
from pipeline.core.segments import SegmentPlan

pytestmark = pytest.mark.unit

MIB = 1024 * 1024
LIMITS = Limits(retention_seconds=86400, share=0.25, stage_concurrency=32, media_concurrency=2)


def cost(video: float = 0.05, gib: float = 2.0, *, photo: float = 0.02, sending: float = 0.0) -> ProcessCost:
    return ProcessCost(
        photo_seconds=photo,
        video_seconds=video,
        gib_seconds=gib,
        sending_share=sending,
        idle_cores=0.01,
        resident_bytes=90 * MIB,
    )


def constants(**processes: ProcessCost) -> Constants:
    costs = {"gateway": cost(), "worker_transfer": cost(), "worker_probe": cost(), "redis": cost(0.01, 0)} | processes
    return Constants(
        measured_at="2026-01-02T03:04:05Z",
        machine={"cores": 2, "cpu": "a CPU"},
        store="swift",
        segment_bytes=10 * MIB,
        release_seconds=2.0,
        processes={name.replace("_", "-"): value for name, value in ({"postgres": cost()} | costs).items()},
        redis=RedisBytes(base=5_000_000, in_flight=1000, ended=3000, segment=200),
        database_bytes=2000,
    )


def load(size_mib: int, uploads_per_hour: float = 360, rate_mib: float = 4, kind: MediaKind = "video") -> Load:
    """360 uploads per hour are 0.1 per second."""
    return Load(uploads_per_hour, SegmentPlan(size_mib * MIB, 10 * MIB), rate_mib * MIB, kind)


def plan(size_mib: int, uploads_per_hour: float = 360, rate_mib: float = 4) -> Plan:
    return make_plan(load(size_mib, uploads_per_hour, rate_mib), constants(), LIMITS)


def test_in_flight_is_arrivals_times_the_time_that_each_holds_room() -> None:
    """40 MiB at 4 MiB/s need 10 s, and 2 s until the room is free: 0.1 x 12. Of a Poisson distribution with mean 1.2,
    99.85 % are at most 5 and 99.97 % at most 6."""
    found = plan(40)
    assert found.in_flight_mean == pytest.approx(1.2)
    assert found.in_flight_peak == 6


def test_segments_that_are_sent_at_once_arrive_together() -> None:
    """100 MiB in 10 segments: 40, 80 and 100 MiB have arrived after 10, 20 and 25 s."""
    assert [seconds for _, seconds in arrivals(load(100))] == [10.0] * 4 + [20.0] * 4 + [25.0] * 2
    assert sum(length for length, _ in arrivals(load(95))) == 95 * MIB


def test_the_volume_holds_each_segment_until_two_seconds_after_its_arrival() -> None:
    """80 MiB: 40 MiB for 12 s and 40 MiB for 22 s are 1,360 MiB s; times 0.1 per second. Nothing leaves before the last
    byte: 80 MiB for 22 s."""
    volume = plan(80).volume
    assert volume.mean_bytes == pytest.approx(136 * MIB, rel=1e-3)
    assert volume.mean_whole_bytes == pytest.approx(176 * MIB, rel=1e-3)
    assert volume.steady_peak_bytes == pytest.approx((136 + 40) * MIB, rel=1e-3)


def test_the_budget_holds_the_files_of_a_peak_and_one_file_whole() -> None:
    """0.1 x 22 s = 2.2 in flight; 99.8 % are at most 7 and 99.95 % at most 8. A whole file is at most a quarter."""
    found = plan(80)
    assert found.in_flight_peak == 8
    assert found.volume.budget_bytes == pytest.approx(8 * 80 * MIB, rel=1e-3)
    assert found.volume.least_budget_bytes == pytest.approx(8 * 60 * MIB, rel=1e-3)
    assert plan(80, 0.001).volume.budget_bytes == pytest.approx(4 * 80 * MIB, rel=1e-3)


def test_cpu_time_is_that_of_an_upload_and_of_its_bytes() -> None:
    """0.05 s + 2 s/GiB x 80 MiB = 0.20625 s; 0.1 per second; and 0.01 of an idle process."""
    found = plan(80)
    assert found.upload_cpu_seconds["gateway"] == pytest.approx(0.20625)
    assert found.processes["gateway"].processes == 1
    assert found.processes["gateway"].busy_cores == pytest.approx(0.030625)
    photo = make_plan(load(80, kind="photo"), constants(), LIMITS)
    assert photo.upload_cpu_seconds["gateway"] == pytest.approx(0.17625)


def test_a_slow_client_costs_more() -> None:
    """0.20625 s, and 0.003 of a core for the 20 s in which the client sends."""
    found = make_plan(load(80), constants(gateway=cost(sending=0.003)), LIMITS)
    assert found.upload_cpu_seconds["gateway"] == pytest.approx(0.26625)


def test_processes_are_at_most_six_tenths_busy() -> None:
    """10 uploads per second x 0.20625 s = 2.0625 cores / 0.6 = 3.4 gateways; a media worker uses two cores."""
    found = plan(80, 36_000)
    assert (found.processes["gateway"].processes, found.processes["gateway"].reason) == (4, "cpu")
    assert (found.processes["worker-probe"].processes, found.processes["worker-probe"].reason) == (2, "cpu")


def test_a_transfer_worker_has_each_upload_from_its_first_to_its_last_segment() -> None:
    """0.1 x (80 / 0.08 + 2) = 100.2 in flight, 132 at the peak (100.2 + 3.09 x 10.01): 132 / 32 slots."""
    found = plan(80, rate_mib=0.08)
    assert found.in_flight_peak == pytest.approx(132, abs=2)
    assert (found.processes["worker-transfer"].processes, found.processes["worker-transfer"].reason) == (5, "slots")


def test_connections_decide_about_gateways_where_clients_are_slow() -> None:
    """1 per second x 1,002 s; five connections each, 2,000 for one gateway: 1,100 x 5 / 2,000 = 2.75."""
    cheap = constants(gateway=cost(0.001, 0.1))
    found = make_plan(load(80, 3600, 0.08), cheap, LIMITS)
    assert (found.processes["gateway"].processes, found.processes["gateway"].reason) == (3, "connections")


def test_redis_keeps_the_records_of_one_day() -> None:
    """8,640 records of 3,000 bytes and 7 x 200 for further segments; 8 in flight of 1,000 and 7 x 200."""
    found = plan(80)
    assert found.redis_records == pytest.approx(8640)
    assert found.redis_bytes == pytest.approx(5_000_000 + 8 * 2400 + 8640 * 4400)
    assert found.database_bytes_per_day == pytest.approx(8640 * 2000)


def test_more_than_one_redis_cannot_be_planned() -> None:
    """101 per second x 0.01 s."""
    with pytest.raises(PlanError, match="REDIS_SATURATED") as refused:
        plan(80, 3600 * 101)
    assert refused.value.code == "REDIS_SATURATED"


@pytest.mark.parametrize(
    ("mean", "quantile"),
    [(0.0, 1), (0.0005, 1), (0.1, 2), (1.0, 5), (10.0, 21), (100.0, 132), (1000.0, 1098)],
)
def test_the_quantile_of_a_poisson_distribution(mean: float, quantile: int) -> None:
    """Tables of the distribution; above 500: 1,000 + 3.09 x 31.62."""
    assert poisson_quantile(mean, 0.999) == quantile

"""How `sluice doctor` judges what it reads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.cli.doctor.check_media import judge_gaps
from deploy.cli.doctor.check_redis import judge_info
from deploy.cli.doctor.check_temp_volume import check_temp_volume, find_mount, judge_room
from deploy.cli.doctor.findings import Findings, Level
from deploy.cli.doctor.redis_memory import judge_memory
from pipeline.adapters.volume.disk import fallocate
from pipeline.settings import Settings

pytestmark = pytest.mark.unit

GOOD_INFO: dict[str, object] = {
    "redis_version": "7.0.15",
    "redis_mode": "standalone",
    "role": "master",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "maxmemory_policy": "noeviction",
    "rdb_last_bgsave_status": "ok",
    "used_memory": 500,
    "maxmemory": 1000,
    "connected_clients": 50,
    "maxclients": 100,
}


def worst(findings: Findings) -> Level:
    levels = [finding.level for finding in findings.all]
    return next(level for level in (Level.ERROR, Level.WARNING, Level.OK) if level in levels)


def test_a_correctly_configured_redis_is_ok() -> None:
    findings = Findings("Redis")
    judge_info(GOOD_INFO, findings)
    assert worst(findings) is Level.OK


MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("fact", "level"),
    [
        ({"maxmemory": 1200 * MIB}, Level.OK),
        ({"maxmemory": 1000 * MIB}, Level.WARNING),
        ({"maxmemory": 1200 * MIB, "used_memory": 300 * MIB}, Level.WARNING),
        ({"maxmemory": 0, "total_system_memory": 4000 * MIB}, Level.OK),
        ({"maxmemory": 0, "total_system_memory": 512 * MIB}, Level.WARNING),
        ({"maxmemory": 0}, Level.OK),
    ],
)
def test_the_memory_of_a_full_queue_is_compared_with_that_of_redis(fact: dict[str, int], level: Level) -> None:
    findings = Findings("Redis")
    judge_memory(fact, Settings(queue_uploads=10_000), findings)
    assert worst(findings) is level
    assert "a full queue of 10000 uploads takes 48.8 MiB" in findings.all[0].what


@pytest.mark.parametrize(
    ("fact", "level"),
    [
        ({"redis_version": "5.0.7"}, Level.ERROR),
        ({"redis_mode": "cluster"}, Level.ERROR),
        ({"role": "slave"}, Level.ERROR),
        ({"aof_enabled": 0}, Level.WARNING),
        ({"aof_last_write_status": "err"}, Level.ERROR),
        ({"maxmemory_policy": "allkeys-lru"}, Level.ERROR),
        ({"rdb_last_bgsave_status": "err"}, Level.WARNING),
        ({"used_memory": 950, "maxmemory": 1000}, Level.WARNING),
        ({"connected_clients": 95, "maxclients": 100}, Level.WARNING),
    ],
)
def test_a_redis_with_one_problem_is_reported_with_advice(fact: dict[str, object], level: Level) -> None:
    findings = Findings("Redis")
    judge_info({**GOOD_INFO, **fact}, findings)
    assert worst(findings) is level
    assert all(finding.advice for finding in findings.all if finding.level is not Level.OK)


@pytest.mark.parametrize(
    ("gaps", "required", "level"),
    [
        ([], True, Level.OK),
        ([], False, Level.OK),
        (["system calls are not filtered"], True, Level.ERROR),
        (["system calls are not filtered"], False, Level.WARNING),
    ],
)
def test_judging_the_sandbox_of_the_media_reader(gaps: list[str], required: bool, level: Level) -> None:
    findings = Findings("media reader")
    judge_gaps(gaps, required, findings)
    (finding,) = findings.all
    assert finding.level is level
    if gaps:
        assert "system calls are not filtered" in finding.what
        assert "libseccomp" in finding.advice
        assert ("do not start" in finding.advice) == required


@pytest.mark.parametrize(
    ("free", "held", "level"),
    [(2000, 0, Level.OK), (500, 1500, Level.OK), (500, 0, Level.WARNING), (50, 0, Level.ERROR)],
)
def test_judging_the_space_on_the_temp_volume(free: int, held: int, level: Level) -> None:
    findings = Findings("temp volume")
    judge_room(free, held, 5000, Settings(temp_budget_bytes=1000, temp_headroom_bytes=100), findings)
    assert worst(findings) is level


def test_a_budget_larger_than_the_disk_is_a_warning() -> None:
    findings = Findings("temp volume")
    settings = Settings(temp_budget_bytes=1000, temp_headroom_bytes=100)
    judge_room(1000, 0, 1000, settings, findings)
    assert worst(findings) is Level.WARNING
    assert "larger than the disk" in findings.all[0].what
    assert "can use only 900 B" in findings.all[0].advice
    findings = Findings("temp volume")
    judge_room(1100, 0, 1100, settings, findings)
    assert worst(findings) is Level.OK


async def test_a_missing_temp_volume_is_an_error_and_is_not_created(tmp_path: Path) -> None:
    findings = Findings("temp volume")
    await check_temp_volume(Settings(temp_dir=tmp_path / "gone"), findings)
    assert worst(findings) is Level.ERROR
    assert not (tmp_path / "gone").exists()


async def test_the_check_leaves_nothing_on_the_temp_volume(tmp_path: Path) -> None:
    findings = Findings("temp volume")
    await check_temp_volume(Settings(temp_dir=tmp_path, temp_budget_bytes=1, temp_headroom_bytes=0), findings)
    assert worst(findings) is not Level.ERROR
    assert list(tmp_path.iterdir()) == []
    assert any("can remove ranges" in finding.what for finding in findings.all)


def test_fallocate_raises_where_it_is_not_supported() -> None:
    reader, writer = os.pipe()
    try:
        with pytest.raises(OSError, match=r"."):
            fallocate(writer, 4096)
    finally:
        os.close(reader)
        os.close(writer)


def test_the_longest_mount_point_wins_and_names_may_contain_spaces() -> None:
    mounts = ["/dev/a / ext4 rw 0 0", "/dev/b /data xfs rw 0 0", "/dev/c /data/my\\040disk tmpfs rw 0 0"]
    assert find_mount(Path("/data/my disk/temp"), mounts).kind == "tmpfs"
    assert find_mount(Path("/data/other"), mounts).kind == "xfs"
    assert find_mount(Path("/database"), mounts).kind == "ext4"

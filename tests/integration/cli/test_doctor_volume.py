"""`sluice doctor` and admission on unusual filesystems: without holes in files, and with large blocks."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from deploy.cli.doctor.check_temp_volume import check_temp_volume
from deploy.cli.doctor.findings import Findings, Level
from pipeline.bootstrap import redis_parts, volume_parts
from pipeline.core.errors import TempVolumeError
from pipeline.core.segments import StoreLimits
from pipeline.core.windows import BLOCK_BYTES
from pipeline.settings import Settings
from tests.harness.disks import faulty_disk, filesystem
from tests.harness.new_uploads import new_upload

pytestmark = pytest.mark.integration

MEBIBYTE = 1024 * 1024
LIMITS = StoreLimits(1_000, 1, 5 * 1024 * MEBIBYTE, 5_000 * 1024 * MEBIBYTE)


async def test_windows_are_impossible_and_whole_files_work(
    redis_url: str, redis_namespace: str, tmp_path: Path
) -> None:
    with faulty_disk(tmp_path) as disk:
        disk.fail("punch", errno.EOPNOTSUPP)
        settings = Settings.model_validate(
            {
                "redis_url": redis_url,
                "redis_namespace": redis_namespace,
                "temp_dir": disk.point,
                "temp_budget_bytes": 64 * MEBIBYTE,
                "temp_headroom_bytes": 0,
            }
        )
        findings = Findings("temp volume")
        await check_temp_volume(settings, findings)
        (found,) = [finding for finding in findings.all if "cannot remove ranges" in finding.what]
        assert found.level is Level.WARNING
        assert "larger than the budget (64.0 MiB) are refused with TEMP_VOLUME_FAILED" in found.advice

        async with redis_parts(settings) as redis:
            admission = volume_parts(settings, redis).admission
            plan = await admission.plan(new_upload(size_bytes=60 * MEBIBYTE), LIMITS, 10 * MEBIBYTE)
            assert (plan.segment_bytes, plan.window_bytes) == (10 * MEBIBYTE, None)
            with pytest.raises(TempVolumeError) as refused:
                await admission.plan(new_upload(size_bytes=65 * MEBIBYTE), LIMITS, 10 * MEBIBYTE)
            assert refused.value.code == "TEMP_VOLUME_FAILED"
            assert "cannot remove ranges of a file" in refused.value.detail["reason"]


async def test_a_full_disk_does_not_refuse_large_files(redis_url: str, redis_namespace: str, tmp_path: Path) -> None:
    """Whether it can remove ranges cannot be tried then; the upload waits for room, as any other."""
    with faulty_disk(tmp_path) as disk:
        disk.fail("fallocate", errno.ENOSPC)
        settings = Settings.model_validate(
            {"redis_url": redis_url, "redis_namespace": redis_namespace, "temp_dir": disk.point}
            | {"temp_budget_bytes": 64 * MEBIBYTE, "temp_headroom_bytes": 0}
        )
        async with redis_parts(settings) as redis:
            admission = volume_parts(settings, redis).admission
            plan = await admission.plan(new_upload(size_bytes=65 * MEBIBYTE), LIMITS, 10 * MEBIBYTE)
            assert (plan.segment_bytes, plan.window_bytes) == (682 * BLOCK_BYTES, 6 * 682 * BLOCK_BYTES)


@pytest.mark.parametrize(("kind", "warned"), [("ext4", False), ("xfs", False), ("ext4 bigalloc", True)])
async def test_a_filesystem_that_allocates_more_than_is_reserved(tmp_path: Path, kind: str, warned: bool) -> None:
    with filesystem(kind, tmp_path) as point:
        findings = Findings("temp volume")
        await check_temp_volume(Settings(temp_dir=point, temp_budget_bytes=MEBIBYTE), findings)
        found = [finding for finding in findings.all if "64.0 KiB for one byte" in finding.what]
        assert [finding.level for finding in found] == [Level.WARNING] * warned

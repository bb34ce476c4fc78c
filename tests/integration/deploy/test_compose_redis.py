"""The Redis of deploy/compose as a real server: its configuration, its password, and what `sluice doctor` says."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from deploy.cli.doctor.check_redis import check_redis
from deploy.cli.doctor.findings import Findings
from deploy.embedded.ports import LOOPBACK, PortPool
from pipeline.settings import Settings
from tests.harness.cell import eventually
from tests.harness.deployment_files import COMPOSE, compose, compose_example
from tests.harness.system_packages import require_programs

pytestmark = pytest.mark.integration

_PASSWORD = "0123456789abcdef" * 4
_CONFIGURATION = "/usr/local/etc/redis/redis.conf"


async def test_redis_keeps_what_it_is_sent_and_needs_its_password(tmp_path: Path) -> None:
    require_programs(["redis-server"], ["redis-server"])
    service = compose({name: value or _PASSWORD for name, value in compose_example().items()})["services"]["redis"]
    assert f"./redis.conf:{_CONFIGURATION}:ro" in service["volumes"]
    text = (COMPOSE / "redis.conf").read_text()
    assert "dir /data\n" in text
    ports = PortPool()
    port = ports.port("redis")
    file = tmp_path / "redis.conf"
    file.write_text(text.replace("dir /data\n", f"dir {tmp_path}\nbind {LOOPBACK}\nport {port}\n"))
    command = [word.replace(_CONFIGURATION, str(file)) for word in service["command"]]
    assert _PASSWORD not in str(command)
    process = await asyncio.create_subprocess_exec(*command, env={"PATH": os.defpath, **service["environment"]})
    redis: Redis = Redis(host=LOOPBACK, port=port, password=_PASSWORD)
    try:

        async def responds() -> bool:
            try:
                return bool(await redis.ping())
            except RedisConnectionError:
                return False

        await eventually(responds, 30, lambda: "Redis to respond")
        findings = Findings("Redis")
        settings = Settings.model_validate({"redis_url": f"redis://:{_PASSWORD}@{LOOPBACK}:{port}/0"})
        await check_redis(settings, findings)
        assert [finding for finding in findings.all if finding.level != "ok"] == []
        await redis.set("key", "value")
        anyone: Redis = Redis(host=LOOPBACK, port=port)
        with pytest.raises(RedisConnectionError, match="Authentication required"):
            await anyone.ping()
        await anyone.aclose()
        process.terminate()  # the shell has become the server: it ends at once, and keeps what it has
        assert await process.wait() == 0
    finally:
        await redis.aclose()
        if process.returncode is None:
            process.kill()
            await process.wait()
        ports.release_all()
    assert any(path.stat().st_size for path in (tmp_path / "appendonlydir").iterdir())

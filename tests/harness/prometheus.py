"""Prometheus (Debian package `prometheus`): reads the metrics of the processes of a test, and evaluates rules."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from deploy.embedded.http import answers
from deploy.embedded.ports import LOOPBACK, ReservedPort
from deploy.embedded.process import ChildProcess, run_all
from tests.harness.system_packages import require_programs


@dataclass(frozen=True)
class Prometheus:
    """A client of a running Prometheus."""

    url: str
    http: aiohttp.ClientSession

    async def get(self, path: str, **parameters: str) -> Any:
        """The `data` of a response of the API. Fails with the error that Prometheus gives."""
        async with self.http.get(f"{self.url}/api/v1/{path}", params=parameters) as response:
            body = await response.json()
        assert body["status"] == "success", (path, parameters, body)
        assert not body.get("warnings"), (path, parameters, body)
        return body["data"]

    async def query(self, expression: str) -> list[Mapping[str, Any]]:
        """The samples of an instant vector. A scalar has none."""
        data = await self.get("query", query=expression)
        samples: list[Mapping[str, Any]] = data["result"] if data["resultType"] == "vector" else []
        return samples

    async def described(self) -> set[str]:
        """The names of the metrics that the targets describe, also of those without samples."""
        return {found["metric"] for found in await self.get("targets/metadata")}


def require_prometheus() -> None:
    """Skip the test where Prometheus or its tool is not installed."""
    require_programs(["prometheus", "promtool"], ["prometheus"])


@asynccontextmanager
async def running_prometheus(
    directory: Path, jobs: Mapping[str, list[str]], rules: Path, labels: Mapping[str, str]
) -> AsyncIterator[Prometheus]:
    """Run Prometheus as long as the block lasts. `jobs`: the URLs of metrics that each job reads, every second.
    `labels` are added to each target."""
    port = ReservedPort()
    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {
                "job_name": job,
                "static_configs": [
                    {
                        "targets": [url.removeprefix("http://").removesuffix("/metrics") for url in urls],
                        "labels": dict(labels),
                    }
                ],
            }
            for job, urls in jobs.items()
        ],
    }
    file = directory / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration))
    url = f"http://{LOOPBACK}:{port.number}"
    child = ChildProcess(
        name="prometheus",
        command=[
            str(shutil.which("prometheus")),
            f"--config.file={file}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={LOOPBACK}:{port.number}",
        ],
        log_path=directory / "prometheus.log",
        environment={"PATH": "/usr/bin:/bin"},
        is_ready=lambda: answers(f"{url}/-/ready"),
    )
    try:
        run_all([child.bring_up()])
        async with aiohttp.ClientSession() as http:
            yield Prometheus(url, http)
    finally:
        child.stop()
        port.release()

"""The backends of docs/examples as processes: they hold a key, create uploads and receive webhooks."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp

from deploy.embedded.ports import ReservedPort
from pipeline.adapters.webhook_signatures import StandardSigner
from tests.harness.cell import eventually
from tests.harness.snippets import DOCS
from tests.harness.system_packages import require_programs

EXAMPLES: Final = DOCS / "examples"
BACKENDS: Final = ("backend.py", "Backend.java")
_SECONDS: Final = 60


def built(name: str, directory: Path) -> list[str]:
    """The command that runs a backend. Java is compiled first."""
    if name == "backend.py":
        return [sys.executable, str(EXAMPLES / name)]
    require_programs(["javac", "java"], ["openjdk-17-jdk-headless"])
    source = EXAMPLES / name
    command = ["javac", "-Xlint:all", "-Werror", "--release", "17", "-encoding", "UTF-8", "-d", str(directory)]
    done = subprocess.run([*command, str(source)], capture_output=True, text=True, check=False, timeout=_SECONDS)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
    return ["java", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", str(directory), "Backend"]


@dataclass
class Backend:
    """A running backend. `secret`: of its webhook."""

    command: list[str]
    environment: Mapping[str, str]
    directory: Path
    port: int
    secret: str
    http: aiohttp.ClientSession
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def events_url(self) -> str:
        return f"{self.url}/sluice-events"

    async def start(self) -> None:
        """Start it, and wait until it responds."""
        await asyncio.to_thread(self._start)
        await eventually(self._responds, _SECONDS, lambda: f"the backend: {self.log}")

    def _start(self) -> None:
        with (self.directory / "backend.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.directory, env=dict(self.environment), stdout=log, stderr=log
            )

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(_SECONDS)
            self.process = None

    @property
    def log(self) -> str:
        return (self.directory / "backend.log").read_text()

    async def deliver(
        self,
        event_id: str,
        body: bytes,
        *,
        secrets: tuple[str, ...] | None = None,
        at: datetime | None = None,
        **changed: str | None,
    ) -> int:
        """Post an event as Sluice does; the status of the response. `changed`: other values of the headers
        `webhook_id` and so on; None: without it."""
        signed = StandardSigner().headers(
            secrets or (self.secret,), event_id, at or datetime.now(UTC), body.decode("utf-8", "surrogateescape")
        )
        other = {name.replace("_", "-"): value for name, value in changed.items()}
        headers = {name: value for name, value in {**signed, **other}.items() if value is not None}
        headers["Content-Type"] = "application/json"
        async with self.http.post(self.events_url, data=body, headers=headers) as response:
            return response.status

    async def videos(self) -> list[dict[str, Any]]:
        async with self.http.get(f"{self.url}/videos") as response:
            assert response.status == 200
            found: list[dict[str, Any]] = await response.json()
            return found

    async def until_videos(self, *ids: str) -> list[dict[str, Any]]:
        """What `GET /videos` lists, once these are its ids."""
        found: list[dict[str, Any]] = []

        async def listed() -> bool:
            found[:] = await self.videos()
            return sorted(video["id"] for video in found) == sorted(ids)

        await eventually(listed, _SECONDS, lambda: f"the videos {ids}, not {found}: {self.log}")
        return found

    async def _responds(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"the backend has ended: {self.log}")
        try:
            await self.videos()
        except aiohttp.ClientError:
            return False
        return True


@asynccontextmanager
async def running_backend(
    command: list[str], directory: Path, gateway: str, key: str, secret: str, port: ReservedPort
) -> AsyncIterator[Backend]:
    """A backend with a folder of its own, at this port, which is released at the end."""
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME") if name in os.environ},
        "SLUICE_SERVER": gateway,
        "SLUICE_KEY": key,
        "SLUICE_WEBHOOK_SECRET": secret,
        "PORT": str(port.number),
    }
    async with aiohttp.ClientSession() as http:
        backend = Backend(command, environment, directory, port.number, secret, http)
        try:
            await backend.start()
            yield backend
        finally:
            backend.kill()
            port.release()

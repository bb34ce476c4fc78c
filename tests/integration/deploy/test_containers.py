"""deploy/compose as processes that have what the containers have: the commands, variables and health checks of the
files, no root, a read-only root filesystem, and the real nginx in front.

Three things differ: ports, since all of them share the network of this machine, and the addresses and credentials of
Redis, PostgreSQL and the S3 server, which are those of the tests.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest

from deploy.cli.processes import SEPARATE, SluiceProcesses
from deploy.embedded.http import answers
from deploy.embedded.ports import LOOPBACK, PortPool
from deploy.embedded.process import ChildProcess, run_all
from tests.harness.cell import Cell, eventually
from tests.harness.contained import Container, container
from tests.harness.deployment_files import (
    COMPOSE,
    compose,
    compose_example,
    image,
    image_command,
    image_environment,
    seconds,
)
from tests.harness.installed import require_namespaces
from tests.harness.keys import as_caller
from tests.harness.media_samples import long_video
from tests.harness.running import running_cell
from tests.harness.shared_stack import SharedStack
from tests.harness.system_packages import require_programs

pytestmark = pytest.mark.e2e

_UID = int(image("USER").partition(":")[0])
_NGINX_UID = 101  # of the image nginx-unprivileged
_FILLED = {name: value or "0123456789abcdef" * 4 for name, value in compose_example().items()}
_SERVICES = compose(_FILLED)["services"]
# What the tests' servers decide, and what tells this cell from others on the same servers.
_OTHERS = {"redis_url", "database_url", "s3_endpoint_url", "s3_access_key", "s3_secret_key", "s3_bucket", "volume"}


class ContainedProcesses(SluiceProcesses):
    """The services of compose.yaml that run Sluice, as many as it says."""

    def __init__(
        self,
        directory: Path,
        environment: Mapping[str, str],
        *,
        workers: Mapping[str, Sequence[str]] = SEPARATE,
        port: int = 0,
        gateways: int = _SERVICES["gateway"]["deploy"]["replicas"],
    ) -> None:
        self._mounted, self._image = directory / "state", directory / "image"  # the volume, and what the image has
        for path in (self._mounted / "temp", self._image / "temp"):
            path.mkdir(parents=True, mode=0o700)
            os.chown(path, _UID, _UID)
            path.parent.chmod(0o755)
        super().__init__(directory, environment, workers=workers, port=port, gateways=gateways)

    def _child(self, name: str, arguments: list[str], ready_url: str, own: Mapping[str, str]) -> ChildProcess:
        service = _SERVICES[name if name in _SERVICES else "gateway"]
        assert service["command"] == arguments
        variables = {key: value for key, value in self._environment.items() if key.startswith("SLUICE_")}
        return container(
            name,
            [*image_command("ENTRYPOINT"), *service["command"]],
            {**variables, **image_environment(), **own},
            self._layout.log(name),
            lambda: answers(ready_url),
            state=self._mounted if service["volumes"] else self._image,
            writable=bool(service["volumes"]),
            uid=_UID,
            stop_seconds=seconds(service["stop_grace_period"]),
        )


class _Nginx:
    """The nginx of compose.yaml, with the addresses of this test."""

    def __init__(self, directory: Path, objects_url: str) -> None:
        self._ports = PortPool()
        self._file = directory / "nginx.conf"
        self._objects = objects_url.removeprefix("http://")
        self.url, self.objects_url = (f"http://{LOOPBACK}:{self._ports.port(name)}" for name in ("api", "objects"))
        self._configure(["127.0.0.1:1"])
        service = _SERVICES["nginx"]
        self.process = container(
            "nginx",
            service["entrypoint"],
            {"PATH": f"/usr/sbin:{os.defpath}"},
            directory / "nginx.log",
            lambda: answers(f"{self.url}/metrics"),
            state=directory,
            uid=_NGINX_UID,
            mounts={"/etc/nginx/nginx.conf": str(self._file)},
        )
        self.process.stop_signal = signal.Signals[service["stop_signal"]]

    def _configure(self, gateways: Sequence[str]) -> None:
        text = (COMPOSE / "nginx.conf").read_text()
        for ours, theirs in (
            ("server gateway:8080 resolve;", " ".join(f"server {address};" for address in gateways)),
            ("server s3:7070 resolve;", f"server {self._objects};"),
            ("listen 8080;", f"listen {self.url.removeprefix('http://')};"),
            ("listen 9000;", f"listen {self.objects_url.removeprefix('http://')};"),
        ):
            assert text.count(ours) == 1, ours
            text = text.replace(ours, theirs)
        self._file.write_text(text)

    def serve(self, gateways: Sequence[str]) -> None:
        """Pass requests on to these gateways."""
        self._configure([url.removeprefix("http://") for url in gateways])
        self.process.execute(["nginx", "-s", "reload"]).check_returncode()

    def close(self) -> None:
        self.process.stop()
        self._ports.release_all()


@contextmanager
def _nginx(directory: Path, objects_url: str) -> Iterator[_Nginx]:
    nginx = _Nginx(directory, objects_url)
    try:
        run_all([nginx.process.bring_up()])
        yield nginx
    finally:
        nginx.close()


@asynccontextmanager
async def _deployed(servers: SharedStack, directory: Path) -> AsyncIterator[tuple[Cell, _Nginx]]:
    for name in ("nginx", "cell"):
        (directory / name).mkdir()
    with ExitStack() as exits:
        nginx = exits.enter_context(_nginx(directory / "nginx", servers.environment()["SLUICE_S3_ENDPOINT_URL"]))
        addresses = {"PUBLIC_URL": nginx.url, "S3_PUBLIC_URL": nginx.objects_url, "FRONT_SUBNET": "127.0.0.0/8"}
        variables = compose({**_FILLED, **addresses})["services"]["gateway"]["environment"]
        settings = {name.removeprefix("SLUICE_").lower(): value for name, value in variables.items()}
        for name in _OTHERS:
            del settings[name]
        async with running_cell(
            servers, directory / "cell", workers=SEPARATE, processes=ContainedProcesses, auth="required", **settings
        ) as cell:
            nginx.serve(list(cell.processes.urls.values()))
            yield cell, nginx


async def test_an_upload_through_nginx_becomes_ready_and_everything_stops(servers: SharedStack, tmp_path: Path) -> None:
    require_namespaces()
    require_programs(["nginx"], ["nginx"])
    data = long_video(6 * 1024 * 1024)  # two segments: S3 accepts none below 5 MiB, except the last
    async with _deployed(servers, tmp_path) as (cell, nginx):
        assert len(cell.processes.urls) == 2
        for url in cell.processes.urls.values():
            for path in ("healthz", "readyz"):
                async with cell.http.get(f"{url}/{path}") as response:
                    assert response.status == 200, await response.text()
        for name in cell.processes.names:
            child = cell.processes.child(name)
            assert isinstance(child, Container)
            checked = child.execute(image_command("HEALTHCHECK"))
            assert checked.returncode == 0, (name, checked.stderr)
        async with as_caller(cell, "shop") as caller:
            await _upload(caller, nginx, data)

        children = [cell.processes.child(name) for name in cell.processes.names]
        cell.processes.stop()
        assert {child.name: child.exit_status for child in children} == {child.name: 0 for child in children}
    assert nginx.process.exit_status == 0


async def _upload(caller: Cell, nginx: _Nginx, data: bytes) -> None:
    body = {"filename": "film.mkv", "size": len(data), "content_type": "video/matroska"}

    async def reached() -> bool:
        """nginx has read its new configuration."""
        async with caller.http.get(f"{nginx.url}/healthz") as response:
            return response.status == 200

    await eventually(reached, 30, lambda: "nginx to pass requests on")
    _, created, _ = await caller.call("POST", f"{nginx.url}/v1/uploads", json=body, expect=201)
    upload = created["data"]
    assert upload["links"]["self"] == f"{nginx.url}/v1/uploads/{upload['id']}"
    assert upload["segment_count"] == 2
    size = upload["segment_size"]
    for number in range(1, upload["segment_count"] + 1):
        part = data[(number - 1) * size : number * size]
        target = f"{nginx.url}/v1/uploads/{upload['id']}/segments/{number}"
        await caller.call("PUT", target, data=BytesIO(part), expect=200)
    await caller.until(upload["id"], "ready")
    content = f"{nginx.url}/v1/contents/{upload['id']}"
    _, shown, _ = await caller.call("GET", content, expect=200)
    assert shown["data"]["video_codec"], shown
    async with caller.http.get(f"{content}/download", allow_redirects=False) as redirect:
        location = redirect.headers["Location"]
        assert redirect.status == 302
    assert location.startswith(f"{nginx.objects_url}/")
    async with aiohttp.ClientSession() as anyone, anyone.get(location) as got:
        assert (got.status, await got.read()) == (200, data)
    async with caller.http.get(f"{nginx.url}/metrics") as metrics:
        assert metrics.status == 404

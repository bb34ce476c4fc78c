"""Two cells behind one name: each has its own Redis and temp volume, and both have one database and one store. In front
is the real nginx with the configuration of deploy/cells, as a user without privileges.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any

import aiohttp

from deploy.cli.processes import ALL_IN_ONE
from deploy.embedded.http import answers
from deploy.embedded.layout import Layout
from deploy.embedded.ports import LOOPBACK, PortPool
from deploy.embedded.process import ChildProcess, run_all
from deploy.embedded.redis import redis_process
from deploy.embedded.users import unprivileged_user
from pipeline.core.cells import cell_of
from pipeline.settings import Settings
from tests.harness.cell import Cell
from tests.harness.keys import WITH_KEYS, bearer
from tests.harness.preloaded import PreloadedProcesses
from tests.harness.running import CellProcesses, cell_settings, drop_cell_database
from tests.harness.shared_stack import Servers

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "cells" / "nginx.conf"


@dataclass
class OneOfTwo:
    """A cell, with its Redis."""

    number: int
    started: CellProcesses
    redis: ChildProcess

    @property
    def _children(self) -> list[ChildProcess]:
        processes = self.started.processes
        return [processes.child(name) for name in processes.names]

    def kill(self) -> None:
        """Its gateway, its worker and its Redis, as when the machine loses power."""
        for child in (*self._children, self.redis):
            child.stop(SIGKILL)

    def start(self) -> None:
        """Returns when Redis and every process respond."""
        run_all([self.redis.bring_up()])
        run_all(child.bring_up() for child in self._children)

    def stop(self) -> None:
        """For good."""
        self.started.processes.stop()
        self.redis.stop()


@dataclass
class Front(Cell):
    """What clients see: the cells behind one name."""

    name: str = ""

    @property
    def url(self) -> str:
        return self.name


@dataclass(frozen=True)
class TwoCells:
    """Both cells, and the URL of the proxy in front."""

    cells: tuple[OneOfTwo, OneOfTwo]
    url: str

    @property
    def settings(self) -> Settings:
        return self.cells[0].started.settings

    @asynccontextmanager
    async def front(self, key: str) -> AsyncIterator[Front]:
        """As the owner of the key sees it."""
        async with (
            self.cells[0].started.connected() as first,
            aiohttp.ClientSession(headers=bearer(key), connector=aiohttp.TCPConnector(limit=0)) as http,
        ):
            one = first.processes, first.environment, first.settings, http, first.redis, first.store, first.keys
            yield Front(*one, name=self.url)

    @asynccontextmanager
    async def connected(self, key: str) -> AsyncIterator[list[Cell]]:
        """Each cell by itself."""
        async with AsyncExitStack() as exits:
            http = await exits.enter_async_context(aiohttp.ClientSession(headers=bearer(key)))
            found = [await exits.enter_async_context(cell.started.connected()) for cell in self.cells]
            yield [
                Cell(cell.processes, cell.environment, cell.settings, http, cell.redis, cell.store, cell.keys)
                for cell in found
            ]


def number_of(upload: Mapping[str, Any]) -> int:
    """The cell that an upload's id names."""
    number = cell_of(upload["id"])
    assert number is not None
    return number


@contextmanager
def two_cells(servers: Servers, directory: Path, **overrides: str | float) -> Iterator[TwoCells]:
    """Started, with `overrides` of the settings of both. Keys are required."""
    ports = PortPool()
    front = f"http://{LOOPBACK}:{ports.port('nginx')}"
    urls = ",".join(f"{number}={front}/cells/{number}" for number in (0, 1))
    environment, _ = cell_settings(servers, directory, **WITH_KEYS, cells=urls, **overrides)
    cells = [_cell(number, environment, directory, ports.port(f"redis-{number}")) for number in (0, 1)]
    files = Path(tempfile.mkdtemp(prefix="sluice-nginx-"))  # the directories of tests are closed to other users
    nginx = _nginx(files, front, [cell.started.processes.url for cell in cells])
    try:
        run_all(cell.redis.bring_up() for cell in cells)
        run_all([nginx.bring_up()])
        for cell in cells:
            cell.started.processes.start()
        yield TwoCells((cells[0], cells[1]), front)
    finally:
        nginx.stop()
        for cell in cells:
            cell.stop()
        ports.release_all()
        shutil.rmtree(files)
        drop_cell_database(servers, cells[0].started.settings)


def _cell(number: int, environment: Mapping[str, str], directory: Path, redis_port: int) -> OneOfTwo:
    layout = Layout(directory / str(number))
    layout.make()
    own = {
        **environment,
        "SLUICE_CELL": str(number),
        "SLUICE_VOLUME": f"volume-{number}",
        "SLUICE_TEMP_DIR": str(layout.directory / "temp"),
        "SLUICE_REDIS_URL": f"redis://{LOOPBACK}:{redis_port}/0",
    }
    settings = Settings.model_validate({key.removeprefix("SLUICE_").lower(): value for key, value in own.items()})
    processes = PreloadedProcesses(layout.directory, own, workers=ALL_IN_ONE)
    return OneOfTwo(number, CellProcesses(processes, own, settings), redis_process(layout, redis_port))


def _nginx(directory: Path, url: str, gateways: list[str]) -> ChildProcess:
    """With the addresses of this test, and files in `directory`."""
    text = CONFIGURATION.read_text("utf-8")
    addresses = [gateway.removeprefix("http://") for gateway in gateways]
    for ours, theirs, count in (
        (" /tmp/", f" {directory}/", 6),
        ("server 10.0.0.10:8080;", f"server {addresses[0]};", 2),
        ("server 10.0.1.10:8080;", f"server {addresses[1]};", 2),
        ("listen 8080;", f"listen {url.removeprefix('http://')};", 1),
        ("/dev/stderr", str(directory / "error.log"), 1),
        ("/dev/stdout", str(directory / "access.log"), 1),
    ):
        assert text.count(ours) == count, ours
        text = text.replace(ours, theirs)
    user = unprivileged_user()
    file = directory / "nginx.conf"
    file.write_text(text)
    if user is not None:
        os.chown(directory, user.uid, user.gid)
    program = shutil.which("nginx", path=f"{os.defpath}:/usr/sbin") or "nginx"
    return ChildProcess(
        "nginx",
        [program, "-e", str(directory / "error.log"), "-c", str(file), "-g", "daemon off;"],
        directory / "output",
        {"PATH": os.defpath},
        lambda: answers(f"{url}/metrics"),
        user=user,
    )

"""Two gateways that share one port, and workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from deploy.cli.processes import SEPARATE, SluiceProcesses
from deploy.embedded.errors import StackError
from deploy.embedded.process import ChildProcess, wait_until

_LISTENING_SECONDS = 60.0


class SharedPort(SluiceProcesses):
    """Needs the setting `reuse_port`. The kernel distributes connections among the gateways."""

    def __init__(
        self,
        directory: Path,
        environment: Mapping[str, str],
        *,
        workers: Mapping[str, Sequence[str]] = SEPARATE,
    ) -> None:
        super().__init__(directory, environment, workers=workers, gateways=2)
        self.urls = dict.fromkeys(self.urls, self.url)

    def start(self) -> None:
        super().start()
        # One of them is enough for a response.
        for name in self.urls:
            if not wait_until(partial(self._is_listening, name), _LISTENING_SECONDS):
                raise StackError(f"{name} does not listen at {self.url}")

    def gateway_pids(self) -> list[int]:
        return [pid for name, pid in self.pids().items() if name in self.urls]

    def _is_listening(self, name: str) -> bool:
        pid = self.pids().get(name)
        if pid is None:
            raise StackError(f"{name} has ended: {self.log_path(name).read_text()[-2000:]}")
        found = psutil.Process(pid).net_connections("tcp")
        return any(one.status == psutil.CONN_LISTEN and one.laddr.port == urlsplit(self.url).port for one in found)

    def _gateway(self, name: str, url: str) -> ChildProcess:
        return super()._gateway(name, self.url)

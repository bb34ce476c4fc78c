"""Three Redis servers and three Sentinels, with the configuration of docs/high-availability.md.

Redis and Sentinel are Debian's (redis-server, redis-sentinel). Times are shorter than in the document, and all of them
run on this machine.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import redis

from deploy.embedded.layout import Layout
from deploy.embedded.passwords import write_private
from deploy.embedded.ports import LOOPBACK, PortPool
from deploy.embedded.process import ChildProcess, run_all, stop_all, wait_until
from tests.harness.snippets import snippet
from tests.harness.system_packages import require_programs

NAME: Final = "sluice"
PASSWORD: Final = "secret"
SERVERS: Final = 3
_DOWN_AFTER_MS: Final = 1000
DOCUMENT: Final = "high-availability.md"
_SECONDS: Final = 60.0
_PROBE_SECONDS: Final = 1.0


class SentinelCluster:
    """The servers are numbered from 0; number 0 is the first primary."""

    def __init__(self, directory: Path, down_after_ms: int = _DOWN_AFTER_MS) -> None:
        self._layout = Layout(directory)
        self._layout.make()
        self._down_after_ms = down_after_ms
        self._ports = PortPool()
        self.ports = [self._ports.port(f"redis-{number}") for number in range(SERVERS)]
        self.sentinel_ports = [self._ports.port(f"sentinel-{number}") for number in range(SERVERS)]
        self.servers = [self._server(number) for number in range(SERVERS)]
        self.sentinels = [self._sentinel(number) for number in range(SERVERS)]

    @property
    def url(self) -> str:
        hosts = ",".join(f"{LOOPBACK}:{port}" for port in self.sentinel_ports)
        return f"redis+sentinel://:{PASSWORD}@{hosts}/{NAME}/0"

    def _server(self, number: int) -> ChildProcess:
        text = snippet(DOCUMENT, "redis", "appendonly")
        if number > 0:
            text += f"replicaof {LOOPBACK} {self.ports[0]}\n"
        return self._process("redis-server", f"redis-{number}", text, self.ports[number])

    def _sentinel(self, number: int) -> ChildProcess:
        text = snippet(DOCUMENT, "sentinel", "sentinel monitor").replace("PRIMARY 6379", f"{LOOPBACK} {self.ports[0]}")
        text = re.sub(r"(?<=down-after-milliseconds sluice )\d+", str(self._down_after_ms), text)
        text = re.sub(r"(?<=failover-timeout sluice )\d+", str(5 * self._down_after_ms), text)
        return self._process("redis-sentinel", f"sentinel-{number}", text, self.sentinel_ports[number])

    def _process(self, program: str, name: str, text: str, port: int) -> ChildProcess:
        """Both programs write to their configuration, so a process that is started again has what it had."""
        data = self._layout.directory / name
        data.mkdir(mode=0o700)
        text = re.sub(r"^port \d+$", f"port {port}", text, flags=re.MULTILINE)
        text = text.replace("bind HOST", f"bind {LOOPBACK}").replace("PASSWORD", PASSWORD)
        write_private(data / "own.conf", text.replace("dir /var/lib/redis", f"dir {data}"))
        return ChildProcess(
            name=name,
            command=[shutil.which(program) or program, str(data / "own.conf")],
            log_path=self._layout.log(name),
            environment=self._layout.server_environment(),
            is_ready=lambda: _accepts(port),
            ready_seconds=_SECONDS,
        )

    def start(self) -> None:
        """Start everything, and wait until a fail-over would work: replicas are in step, Sentinels know each other."""
        run_all([self.servers[0].bring_up()])
        run_all([server.bring_up() for server in self.servers[1:]])
        run_all([sentinel.bring_up() for sentinel in self.sentinels])
        assert wait_until(self.is_redundant, _SECONDS), "the servers do not form a group"

    def stop(self) -> None:
        for server in self.servers:  # one that a test has stopped (SIGSTOP) would not end
            if server.pid is not None:
                os.kill(server.pid, signal.SIGCONT)
        stop_all([*self.sentinels, *self.servers])
        self._ports.release_all()

    def client(self, number: int) -> redis.Redis:
        """A client of one server."""
        return redis.Redis(
            host=LOOPBACK, port=self.ports[number], password=PASSWORD, decode_responses=True, socket_timeout=5
        )

    def primary(self) -> int:
        """The number of the server that the Sentinels name, once all of those that run name the same one."""
        named = {self._named_by(number) for number, child in enumerate(self.sentinels) if child.pid is not None}
        assert len(named) == 1, named
        return named.pop()

    def until_primary_is_not(self, number: int) -> int:
        """Wait for a fail-over; the number of the new primary."""

        def switched() -> bool:
            try:
                return self.primary() != number
            except AssertionError:
                return False

        assert wait_until(switched, _SECONDS), "no replica was promoted"
        return self.primary()

    def demote(self) -> None:
        """Let the Sentinels promote a replica although the primary works."""
        with redis.Redis(host=LOOPBACK, port=self.sentinel_ports[0], decode_responses=True) as client:
            client.execute_command("SENTINEL", "FAILOVER", NAME)

    def stop_replicating(self, number: int) -> None:
        """From now on the replicas get nothing of this primary, which goes on for the clients that it has. They are
        disconnected and cannot log in again; `min-replicas-to-write` would stop the clients, too."""
        with self.client(number) as client:
            client.config_set("min-replicas-to-write", 0)
            client.config_set("requirepass", "another")
            client.execute_command("CLIENT", "KILL", "TYPE", "replica")

    def lag_bytes(self, number: int) -> int:
        """What this primary has written and no replica has."""
        with redis.Redis(host=LOOPBACK, port=self.ports[number], password="another") as client:
            written = int(client.info("replication")["master_repl_offset"])
        offsets = []
        for other in range(SERVERS):
            if other != number:
                with self.client(other) as client:
                    offsets.append(int(client.info("replication")["slave_repl_offset"]))
        return written - max(offsets)

    def is_redundant(self) -> bool:
        """Whether the Sentinels know each other, and every replica of the primary is in step with it."""
        try:
            with self.client(self.primary()) as client:
                facts = client.info("replication")
            states = [self._master(number) for number in range(SERVERS)]
        except (AssertionError, redis.RedisError):
            return False
        online = [facts.get(f"slave{number}", {}).get("state") == "online" for number in range(SERVERS - 1)]
        known = {(state["num-other-sentinels"], state["num-slaves"]) for state in states}
        return all(online) and known == {(SERVERS - 1, SERVERS - 1)}

    def _master(self, number: int) -> dict[str, object]:
        with redis.Redis(host=LOOPBACK, port=self.sentinel_ports[number], decode_responses=True) as client:
            state: dict[str, object] = client.sentinel_master(NAME)
            return state

    def _named_by(self, number: int) -> int:
        return self.ports.index(int(str(self._master(number)["port"])))


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=_PROBE_SECONDS):
            return True
    except OSError:
        return False


@contextmanager
def sentinel_cluster(directory: Path, *, down_after_ms: int = _DOWN_AFTER_MS) -> Iterator[SentinelCluster]:
    """Run one while the block runs. `down_after_ms`: when Sentinels replace a server that does not respond. Skips the
    test where Redis or Sentinel is not installed."""
    require_programs(["redis-server", "redis-sentinel"], ["redis-server", "redis-sentinel"])
    cluster = SentinelCluster(directory, down_after_ms)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()

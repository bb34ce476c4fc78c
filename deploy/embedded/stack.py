"""The whole stack: starts every server concurrently, provides their addresses, and stops them all.

A server that the environment names is used and not started: SLUICE_REDIS_URL, SLUICE_DATABASE_URL,
SLUICE_SWIFT_AUTH_URL. Swift is not started either when SLUICE_STORE is `filesystem`, or when it is `s3` and
SLUICE_S3_BUCKET is set.

Guarantee: a `start` that fails leaves nothing running. `stop` can be called at any time and more than once. If the
process that holds the stack is killed, the kernel ends the servers.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.embedded.endpoints import KeystoneEndpoint, SwiftEndpoint
from deploy.embedded.errors import StackError
from deploy.embedded.keystone import Keystone
from deploy.embedded.layout import Layout
from deploy.embedded.passwords import Passwords
from deploy.embedded.ports import LOOPBACK, PortPool
from deploy.embedded.postgres import Postgres
from deploy.embedded.process import BringUp, ChildProcess, run_all, stop_all
from deploy.embedded.redis import redis_process
from deploy.embedded.swift import Swift

CONTAINER = "sluice"
VOLUME = "local"  # the default of SLUICE_VOLUME, so that the Redis keys are those of the documentation


@dataclass(frozen=True)
class StackOptions:
    """Which servers to start, and where."""

    directory: Path
    """Holds all state. Created if it does not exist; a later stack in the same directory finds the data again."""
    postgres: bool = True
    redis: bool = True
    swift: bool = True
    keystone: bool = False
    """Also start Keystone, and a second Swift proxy that uses it. `environment` then names these two."""
    token_lifetime_seconds: int = 3600
    token_cache_seconds: int = 300
    """How long the Keystone proxy caches a validated token. -1: it validates every time, so a revoked token fails."""
    tempurls: bool = False
    """Whether `environment` names a key that signs URLs with which clients reach the embedded Swift."""
    fast: bool = False
    """For tests: PostgreSQL does not wait for the disk, and Keystone hashes with the fewest rounds."""


class EmbeddedStack:
    """Real servers, as a context manager. Start it from the main thread."""

    def __init__(self, options: StackOptions) -> None:
        self._options = options
        self._layout = Layout(options.directory.resolve())
        self._passwords = Passwords()  # those of the directory, once it exists
        self._ports = PortPool()
        self._redis: ChildProcess | None = None
        self._postgres: Postgres | None = None
        self._swift: Swift | None = None
        self._keystone: Keystone | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts every server. Raises StackError, with the last lines of its log when a server failed."""
        if self._children():
            raise StackError("the stack is already running")
        self._layout.make()
        self._passwords = Passwords.of(self._layout.directory)
        try:
            run_all(self._bring_ups())
            if self._keystone is not None:
                container = os.environ.get("SLUICE_SWIFT_CONTAINER") or CONTAINER
                self._keystone.let_delegated_user_write(container, f"{container}_segments")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops every server, all at the same time. Data stays in the directory."""
        stop_all(self._children())
        if self._postgres is not None:
            self._postgres.put_away()
        self._redis = self._postgres = self._swift = self._keystone = None
        self._ports.release_all()

    @property
    def redis_url(self) -> str:
        if self._redis is not None:
            return f"redis://default:{self._passwords.redis}@{LOOPBACK}:{self._ports.port('redis')}/0"
        return _from_environment("SLUICE_REDIS_URL")

    @property
    def database_url(self) -> str:
        return self._postgres.url if self._postgres is not None else _from_environment("SLUICE_DATABASE_URL")

    @property
    def swift(self) -> SwiftEndpoint:
        """The tempauth proxy. Raises StackError when this stack runs no Swift."""
        if self._swift is None:
            raise StackError("this stack runs no Swift")
        return self._swift.endpoint

    @property
    def keystone(self) -> KeystoneEndpoint | None:
        return None if self._keystone is None else self._keystone.endpoint

    def environment(self) -> dict[str, str]:
        """The SLUICE_* variables for gateways and workers: the caller's own, with those of the servers started here."""
        variables = {"SLUICE_TEMP_DIR": str(self._layout.temp), "SLUICE_VOLUME": VOLUME}
        variables |= {name: value for name, value in os.environ.items() if name.startswith("SLUICE_")}
        if self._redis is not None:
            variables["SLUICE_REDIS_URL"] = self.redis_url
        if self._postgres is not None:
            variables["SLUICE_DATABASE_URL"] = self.database_url
        if self._swift is not None:
            variables |= self._swift_variables()
            variables.setdefault("SLUICE_SWIFT_CONTAINER", CONTAINER)
            if self._options.tempurls:
                variables.setdefault("SLUICE_SWIFT_TEMPURL_KEY", self._passwords.tempurl)
            if "SLUICE_S3_BUCKET" not in variables:
                variables |= self._s3_variables()
        variables.setdefault("SLUICE_FILESYSTEM_DIR", str(self._layout.store))
        variables.setdefault("SLUICE_STORE", "swift")
        return variables

    def processes(self) -> Mapping[str, int]:
        """The process id of every running server, by name."""
        return {child.name: child.pid for child in self._children() if child.pid is not None}

    def stop_process(self, name: str, signal_number: int | None = None) -> None:
        """Stops one server and the processes it forked, by default with its stop signal. Keeps its data and port."""
        self.child(name).stop(signal_number)

    def start_process(self, name: str) -> None:
        """Starts a server that was stopped or has died, with the same port and data. Waits until it responds."""
        run_all([self.child(name).bring_up()])

    def child(self, name: str) -> ChildProcess:
        """One server, to kill, pause or restart it without waiting. Raises StackError."""
        for child in self._children():
            if child.name == name:
                return child
        known = ", ".join(child.name for child in self._children())
        raise StackError(f"the stack has no process called {name!r}; it has {known}")

    def _bring_ups(self) -> list[BringUp]:
        options = self._options
        bring_ups: list[BringUp] = []
        if options.redis and "SLUICE_REDIS_URL" not in os.environ:
            self._redis = redis_process(self._layout, self._ports.port("redis"), password=self._passwords.redis)
            bring_ups.append(self._redis.bring_up())
        if options.postgres and "SLUICE_DATABASE_URL" not in os.environ:
            port = self._ports.port("postgres")
            self._postgres = Postgres(self._layout, port, self._passwords.postgres, durable=not options.fast)
            bring_ups.append(self._postgres.bring_up())
        if options.swift and _needs_swift():
            self._swift = Swift(
                self._layout, self._ports, self._passwords, token_lifetime_seconds=options.token_lifetime_seconds
            )
            if options.keystone:
                self._keystone = Keystone(
                    self._layout,
                    self._ports.port("keystone"),
                    self._swift.keystone_proxy_url,
                    self._passwords,
                    token_lifetime_seconds=options.token_lifetime_seconds,
                    fast=options.fast,
                )
                bring_ups.append(self._keystone.bring_up())
            self._swift.prepare(self._keystone.url if self._keystone else None, options.token_cache_seconds)
            bring_ups.append(self._swift.bring_up(keystone=options.keystone))
        return bring_ups

    def _children(self) -> list[ChildProcess]:
        holders = (self._postgres, self._keystone)
        single = [holder.process for holder in holders if holder is not None and holder.process is not None]
        return [
            *([self._redis] if self._redis is not None else []),
            *single,
            *(self._swift.processes if self._swift is not None else []),
        ]

    def _s3_variables(self) -> dict[str, str]:
        """The same Swift, through its S3 API."""
        return {
            "SLUICE_S3_BUCKET": f"{CONTAINER}-s3",
            "SLUICE_S3_ENDPOINT_URL": self.swift.s3_endpoint,
            "SLUICE_S3_REGION": self.swift.s3_region,
            "SLUICE_S3_ACCESS_KEY": self.swift.s3_access_key,
            "SLUICE_S3_SECRET_KEY": self.swift.s3_secret_key,
        }

    def _swift_variables(self) -> dict[str, str]:
        if self.keystone is not None:
            return {
                "SLUICE_SWIFT_AUTH": "v3",
                "SLUICE_SWIFT_AUTH_URL": self.keystone.auth_url,
                "SLUICE_SWIFT_USER": self.keystone.username,
                "SLUICE_SWIFT_PASSWORD": self.keystone.password,
                "SLUICE_SWIFT_PROJECT": self.keystone.project,
                "SLUICE_SWIFT_USER_DOMAIN": self.keystone.user_domain,
                "SLUICE_SWIFT_PROJECT_DOMAIN": self.keystone.project_domain,
                "SLUICE_SWIFT_REGION": self.keystone.region,
                "SLUICE_SWIFT_LENT_USER": self.keystone.delegated_username,
                "SLUICE_SWIFT_LENT_PASSWORD": self.keystone.delegated_password,
            }
        return {
            "SLUICE_SWIFT_AUTH": "v1",
            "SLUICE_SWIFT_AUTH_URL": self.swift.auth_url,
            "SLUICE_SWIFT_USER": self.swift.user,
            "SLUICE_SWIFT_PASSWORD": self.swift.key,
        }


def _needs_swift() -> bool:
    """True unless new uploads go to a store that the environment names or that needs no server."""
    store = os.environ.get("SLUICE_STORE", "swift")
    own = "SLUICE_S3_BUCKET" if store == "s3" else "SLUICE_SWIFT_AUTH_URL"
    return store != "filesystem" and own not in os.environ


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise StackError(f"this stack does not run that server, and {name} is not set")
    return value

"""Keystone under gunicorn, with its own database and keys, created and seeded at each start of the stack.

Its access log has one line per request, so that a test can count token requests. Nothing survives a restart of the
stack: projects get new ids, so objects that they stored before cannot be found any more.
"""

from __future__ import annotations

import base64
import os
import shutil
from pathlib import Path

from deploy.embedded.endpoints import KeystoneEndpoint
from deploy.embedded.http import answers
from deploy.embedded.keystone_seed import (
    ADMIN_PROJECT,
    ADMIN_USER,
    DELEGATED_USER,
    DOMAIN_NAME,
    PROJECT,
    REGION,
    USER,
    allow_writing,
    seed,
)
from deploy.embedded.layout import Layout
from deploy.embedded.passwords import Passwords
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.process import BringUp, ChildProcess, side_by_side
from deploy.embedded.servers_venv import servers_command

_DEFAULT_HASH_ROUNDS = 12  # bcrypt, Keystone's own default: 0.25 s of CPU for each token
_FAST_HASH_ROUNDS = 4  # the minimum of bcrypt
_THREADS = 8
_KEEP_ALIVE_SECONDS = 75

_CONF = """\
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///{home}/keystone.db
[fernet_tokens]
key_repository = {home}/fernet
[fernet_receipts]
key_repository = {home}/fernet
[credential]
key_repository = {home}/credential
[token]
expiration = {token_lifetime_seconds}
[identity]
password_hash_rounds = {hash_rounds}
"""


def _make_keys(directory: Path) -> None:
    """Creates two keys of 32 random bytes, named 0 and 1 and readable by the owner only, as fernet_setup does."""
    directory.mkdir(mode=0o700)
    for name in ("0", "1"):
        key = directory / name
        key.touch(mode=0o600)
        key.write_bytes(base64.urlsafe_b64encode(os.urandom(32)))


class Keystone:
    """One Keystone in DIRECTORY/keystone."""

    def __init__(
        self,
        layout: Layout,
        port: int,
        swift_url: str,
        passwords: Passwords,
        *,
        token_lifetime_seconds: int,
        fast: bool,
    ) -> None:
        self._passwords = passwords
        self._layout = layout
        self._port = port
        self._swift_url = swift_url
        self._token_lifetime_seconds = token_lifetime_seconds
        self._hash_rounds = _FAST_HASH_ROUNDS if fast else _DEFAULT_HASH_ROUNDS
        self._home = layout.directory / "keystone"
        self._access_log = layout.log("keystone-access")
        self.url = f"http://{LOOPBACK}:{port}"
        self.process: ChildProcess | None = None
        self.endpoint: KeystoneEndpoint | None = None
        """None until `bring_up` has returned."""
        self._delegated_user_id = ""

    def bring_up(self) -> BringUp:
        """Creates the database, starts the server and seeds it."""
        shutil.rmtree(self._home, ignore_errors=True)
        self._home.mkdir(mode=0o700)
        self._access_log.unlink(missing_ok=True)
        configuration = self._home / "keystone.conf"
        configuration.write_text(
            _CONF.format(
                home=self._home, token_lifetime_seconds=self._token_lifetime_seconds, hash_rounds=self._hash_rounds
            )
        )
        for repository in ("fernet", "credential"):
            _make_keys(self._home / repository)
        arguments = (str(configuration), f"{self.url}/v3", REGION)
        setup = self._child("keystone-setup", servers_command("keystone_setup.py", *arguments))
        # Everybody can read a command line.
        setup.environment = {**setup.environment, "OS_BOOTSTRAP_PASSWORD": self._passwords.keystone_admin}
        self.process = self._server()
        # Both spend seconds importing Keystone, and the server does not open its database before the first request.
        yield from side_by_side([setup.run_to_end(), self.process.bring_up()])
        seeded = seed(f"{self.url}/v3", self._swift_url, self._passwords)
        self._delegated_user_id = seeded.delegated_user_id
        self.endpoint = KeystoneEndpoint(
            auth_url=f"{self.url}/v3",
            username=USER,
            password=self._passwords.keystone_media,
            project=PROJECT,
            project_id=seeded.project_id,
            user_domain=DOMAIN_NAME,
            project_domain=DOMAIN_NAME,
            region=REGION,
            application_credential_id=seeded.application_credential_id,
            application_credential_secret=seeded.application_credential_secret,
            ec2_access_key=seeded.ec2_access_key,
            ec2_secret_key=seeded.ec2_secret_key,
            proxy_url=self._swift_url,
            storage_url=f"{self._swift_url}/v1/AUTH_{seeded.project_id}",
            delegated_username=DELEGATED_USER,
            delegated_password=self._passwords.keystone_client,
            token_log_path=self._access_log,
            admin_username=ADMIN_USER,
            admin_password=self._passwords.keystone_admin,
            admin_project=ADMIN_PROJECT,
        )

    def let_delegated_user_write(self, *containers: str) -> None:
        """Creates the containers and lets the delegated user write to them, but neither read nor list. Call it once
        the Swift proxy responds."""
        if self.endpoint is None:
            raise RuntimeError("Keystone has not been started")
        for name in containers:
            url = f"{self.endpoint.storage_url}/{name}"
            allow_writing(self.endpoint.auth_url, self.endpoint.password, url, self._delegated_user_id)

    def _server(self) -> ChildProcess:
        options = {
            "--bind": f"{LOOPBACK}:{self._port}",
            "--workers": "1",
            "--worker-class": "gthread",
            "--threads": str(_THREADS),
            "--keep-alive": str(_KEEP_ALIVE_SECONDS),
            "--access-logfile": str(self._access_log),
            "--graceful-timeout": "2",
        }
        shared_memory = Path("/dev/shm")  # noqa: S108 -- gunicorn creates an unnamed file there
        if os.access(shared_memory, os.W_OK):
            options["--worker-tmp-dir"] = str(shared_memory)  # gunicorn's heartbeat must not wait for a busy disk
        arguments = [part for option in options.items() for part in option]
        arguments += ["--no-control-socket", "keystone_application:application"]
        child = self._child("keystone", servers_command("keystone_main.py", *arguments))
        child.is_ready = lambda: answers(f"{self.url}/v3")
        return child

    def _child(self, name: str, command: list[str]) -> ChildProcess:
        return ChildProcess(
            name=name,
            command=command,
            log_path=self._layout.log(name),
            environment={**self._layout.server_environment(), "OS_KEYSTONE_CONFIG_DIR": str(self._home)},
        )

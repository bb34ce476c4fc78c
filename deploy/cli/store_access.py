"""How a person reaches the servers of a run: command lines for psql, redis-cli and the object store's own client.

Guarantee: no secret is printed. A command refers to the variable instead, so that it works in a shell that has it
(`deploy.cli.environment_file`).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from deploy.cli.tools import swift_client

Lines = list[tuple[str, str]]


class Access:
    """Command lines for one run. `environment` holds the SLUICE_* variables of its processes."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def lines(self) -> Lines:
        """(name, text) of each line: Redis, PostgreSQL, the store and how to list it, and the delegated user."""
        return [
            ("Redis", f"redis-cli -u {self._secret('SLUICE_REDIS_URL')}"),
            ("PostgreSQL", f"psql {self._secret('SLUICE_DATABASE_URL')}"),
            *self._store_lines(),
        ]

    def swift_command(self, *arguments: str) -> str:
        """The `swift` command line (python-swiftclient) with its login."""
        return " ".join([shlex.quote(swift_client()), *self._swift_login(), *map(shlex.quote, arguments)])

    def _store_lines(self) -> Lines:
        environment, store = self._environment, self._environment["SLUICE_STORE"]
        if store == "filesystem":
            directory = environment["SLUICE_FILESYSTEM_DIR"]
            return [("store", f"the directory {directory}"), ("list objects", f"find {shlex.quote(directory)} -type f")]
        if store == "s3":
            bucket = environment["SLUICE_S3_BUCKET"]
            where = environment.get("SLUICE_S3_ENDPOINT_URL") or "Amazon"
            return [("store", f"S3 at {where}, bucket {bucket}"), ("list objects", self._aws_command(bucket))]
        container = environment.get("SLUICE_SWIFT_CONTAINER", "sluice")
        lines = [
            ("store", f"Swift, login at {environment.get('SLUICE_SWIFT_AUTH_URL')}, container {container}"),
            ("list objects", self.swift_command("list", container)),
        ]
        if user := environment.get("SLUICE_SWIFT_LENT_USER"):
            password = self._secret("SLUICE_SWIFT_LENT_PASSWORD")
            lines.append(("delegated user", f"{user}, password {password} (transport `token`)"))
        return lines

    def _aws_command(self, bucket: str) -> str:
        words = []
        if self._environment.get("SLUICE_S3_ACCESS_KEY"):
            words += [f"AWS_ACCESS_KEY_ID={self._secret('SLUICE_S3_ACCESS_KEY')}"]
            words += [f"AWS_SECRET_ACCESS_KEY={self._secret('SLUICE_S3_SECRET_KEY')}"]
        words += ["aws", "--region", shlex.quote(self._environment.get("SLUICE_S3_REGION") or "us-east-1")]
        if endpoint := self._environment.get("SLUICE_S3_ENDPOINT_URL"):
            words += ["--endpoint-url", shlex.quote(endpoint)]
        return " ".join([*words, "s3", "ls", "--recursive", shlex.quote(f"s3://{bucket}")])

    def _swift_login(self) -> list[str]:
        def plain(name: str, otherwise: str = "") -> str:
            return shlex.quote(self._environment.get(f"SLUICE_SWIFT_{name}") or otherwise)

        def secret(name: str) -> str:
            return self._secret(f"SLUICE_SWIFT_{name}")

        if self._environment.get("SLUICE_SWIFT_AUTH") == "v1":
            login = ["--auth-version", "1", "--auth", plain("AUTH_URL"), "--user", plain("USER")]
            return [*login, "--key", secret("PASSWORD")]
        login = ["--auth-version", "3", "--os-auth-url", plain("AUTH_URL")]
        if self._environment.get("SLUICE_SWIFT_REGION"):
            login += ["--os-region-name", plain("REGION")]
        if self._environment.get("SLUICE_SWIFT_APPLICATION_CREDENTIAL_ID"):
            login += ["--os-auth-type", "v3applicationcredential"]
            login += ["--os-application-credential-id", plain("APPLICATION_CREDENTIAL_ID")]
            return [*login, "--os-application-credential-secret", secret("APPLICATION_CREDENTIAL_SECRET")]
        login += ["--os-username", plain("USER"), "--os-password", secret("PASSWORD")]
        login += ["--os-project-name", plain("PROJECT")]
        login += ["--os-user-domain-name", plain("USER_DOMAIN", "Default")]
        return [*login, "--os-project-domain-name", plain("PROJECT_DOMAIN", "Default")]

    def _secret(self, name: str) -> str:
        """A reference to the variable, as a word of a shell."""
        return f'"${name}"' if self._environment.get(name) else "''"

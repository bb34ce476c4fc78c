"""A server that signs as Amazon's SNS does, and publishes its certificates by HTTPS."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.harness.certificates import TestCa
from tests.harness.tls_relay import tls_relay

TOPIC = "arn:aws:sns:eu-central-1:123456789012:raw"
TEXTS = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
    ),
}  # fmt: skip
"""What is signed, as the documentation lists it."""


@dataclass
class Sns:
    """A server that publishes certificates, and keys to sign with."""

    port: int
    directory: Path
    ca: TestCa
    requested: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    def key(self, name: str) -> RSAPrivateKey:
        key = load_pem_private_key((self.directory / f"{name}-key.pem").read_bytes(), None)
        assert isinstance(key, RSAPrivateKey)
        return key

    def message(self, *, kind: str = "Notification", version: str = "1", signed_by: str = "sns", **changes: Any) -> Any:
        """A message as SNS sends it; `changes` are made before it is signed."""
        message: dict[str, Any] = {
            "Type": kind,
            "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
            "TopicArn": TOPIC,
            "Subject": "Amazon S3 Notification",
            "Message": json.dumps({"Records": []}) + "\nline Ü",
            "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "SignatureVersion": version,
            "SigningCertURL": f"https://{self.host}/sns.pem",
        }
        if kind != "Notification":
            message |= {"Token": "2336412f37", "SubscribeURL": f"https://{self.host}/?Action=ConfirmSubscription"}
            del message["Subject"]
        message |= changes
        fields = [name for name in TEXTS.get(kind, TEXTS["SubscriptionConfirmation"]) if name in message]
        text = "".join(f"{name}\n{message[name]}\n" for name in fields)
        algorithm = SHA256() if version == "2" else SHA1()  # noqa: S303 -- SNS' version 1 is SHA-1
        message["Signature"] = base64.b64encode(self.key(signed_by).sign(text.encode(), PKCS1v15(), algorithm)).decode()
        return message


@asynccontextmanager
async def sns_server(directory: Path) -> AsyncIterator[Sns]:
    """Run it while the block runs."""
    ca = TestCa(directory)
    ca.issue("sns")
    ca.issue("other")
    ca.issue("old", days=-1)
    made = Sns(0, directory, ca)

    async def serve(request: web.Request) -> web.StreamResponse:
        made.requested.append(request.path_qs)
        path = directory / request.path.strip("/")
        if request.path == "/moved.pem":
            raise web.HTTPFound("/sns.pem")
        return web.FileResponse(path) if path.is_file() else web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with tls_relay(runner.addresses[0][1], *ca.issue("server", "localhost")) as made.port:
        yield made
    await runner.cleanup()

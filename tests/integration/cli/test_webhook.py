"""`sluice webhook`, against the database of a cell with a notify worker and a real receiver."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from click.testing import CliRunner, Result
from standardwebhooks import Webhook

from deploy.cli.root import sluice as root
from tests.harness.running import cell_processes
from tests.harness.shared_stack import Servers
from tests.integration.cli.conftest import Cell

pytestmark = pytest.mark.integration

URL = "https://backend.example.com/sluice"
NOBODY = "00000000-0000-4000-8000-000000000000"
Received = Queue[tuple[dict[str, str], str]]
"""Headers and bodies of requests."""
_SECONDS = 60


@pytest.fixture(scope="module")
def notifying(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """A cell whose webhooks may be on loopback."""
    with cell_processes(servers, tmp_path_factory.mktemp("notifying"), webhook_networks="127.0.0.0/8") as started:
        yield Cell(servers, started.processes, dict(started.environment))


class InProcess:
    """The command in this process, which is faster."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(root, ["webhook", *arguments], env={**self._environment, "COLUMNS": "200"})


@pytest.fixture
def sluice(notifying: Cell) -> InProcess:
    return InProcess(notifying.environment)


def printed(sluice: InProcess, *arguments: str, status: int = 0) -> Any:
    """The JSON object that a command prints."""
    done = sluice.run(*arguments, "--json")
    assert done.exit_code == status, done.stderr
    return json.loads(done.stdout)


def created(sluice: InProcess, url: str = URL, *arguments: str) -> tuple[str, str]:
    """The id and the secret of a new webhook."""
    made = printed(sluice, "create", url, *arguments)
    return made["webhook"]["id"], made["secret"]


def lines(sluice: InProcess, *arguments: str) -> list[dict[str, Any]]:
    done = sluice.run(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextmanager
def receiver(status: int) -> Iterator[tuple[str, Received]]:
    """A server that responds with `status`: its URL, and what it has received."""
    received: Received = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            received.put(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/", received
        finally:
            server.shutdown()


def test_the_life_of_a_webhook(sluice: InProcess) -> None:
    made = sluice.run("create", URL, "--owner", "life", "--event", "content.ready", "--note", "a site")
    assert made.exit_code == 0, made.stderr
    assert made.stdout.startswith("whsec_")
    assert "not shown again" in made.stderr
    (listed,) = lines(sluice, "list", "--owner", "life")
    name = listed["id"]
    assert (listed["owner"], listed["events"], listed["note"]) == ("life", ["content.ready"], "a site")
    shown = sluice.run("show", name)
    assert URL in shown.stdout
    assert made.stdout.strip() not in shown.stdout
    assert printed(sluice, "change", name, "--all-events", "--note", "")["events"] == []
    assert printed(sluice, "change", name, "--event", "upload.failed")["events"] == ["upload.failed"]
    assert printed(sluice, "rotate", name)["secret"] != made.stdout.strip()
    assert printed(sluice, "rotate", name, "--overlap-seconds", "0")["webhook"]["previous_secret_until"] is None
    assert printed(sluice, "pause", name)["state"] == "paused"
    assert "paused (requested)" in sluice.run("list", "--owner", "life").stdout
    waiting = sluice.run("test", name)
    assert (waiting.exit_code, "sluice webhook resume" in waiting.stderr) == (1, True)
    assert printed(sluice, "delete", name)["id"] == name
    assert lines(sluice, "list", "--owner", "life") == []


def test_a_test_arrives_signed_and_can_be_replayed(sluice: InProcess) -> None:
    with receiver(204) as (url, received):
        name, secret = created(sluice, url, "--owner", "tested")
        sent = sluice.run("test", name)
        assert (sent.exit_code, sent.stdout) == (0, f"Delivered to {url}: it responded 204.\n"), sent.stderr
        headers, body = received.get(timeout=_SECONDS)
        assert Webhook(secret).verify(body, headers)["type"] == "webhook.test"
        (delivery,) = lines(sluice, "deliveries", name)
        assert (delivery["state"], delivery["attempts"], delivery["status"]) == ("delivered", 1, 204)
        assert lines(sluice, "deliveries", name, "--state", "failed") == []
        assert printed(sluice, "replay", name, "--state", "failed") == {"queued": 0, "more": False}
        again = printed(sluice, "replay", name, "--delivery", str(delivery["id"]), "--since", "2026-01-01T00:00:00Z")
        assert again == {"queued": 1, "more": False}
        assert received.get(timeout=_SECONDS)[0]["webhook-id"] == headers["webhook-id"]
        assert printed(sluice, "replay", name, "--contents", "--owner", "tested") == {"queued": 0, "more": False}
    printed(sluice, "delete", name)


def test_a_test_that_fails_says_why(sluice: InProcess) -> None:
    with receiver(500) as (url, _):
        name, _ = created(sluice, url, "--owner", "failing")
        sent = sluice.run("test", name)
        assert (sent.exit_code, sent.stdout) == (1, "")
        assert "it responded 500" in sent.stderr
    printed(sluice, "delete", name)


def test_a_test_without_a_worker_says_so(servers: Servers, tmp_path: Path) -> None:
    with cell_processes(servers, tmp_path / "cell", workers={"worker-persist": ["persist"]}) as started:
        sluice = InProcess(started.environment)
        name, _ = created(sluice)
        sent = sluice.run("test", name, "--timeout", "0.5")
        assert sent.exit_code == 1
        assert "sluice worker notify" in sent.stderr
        queued = sluice.run("test", name, "--timeout", "0")
        assert (queued.exit_code, "is queued" in queued.stdout) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "ftp://backend.example/"), "url"),
        (("create", URL, "--event", "content.lost"), "content.lost"),
        (("create", URL, "--owner", "a b"), "letters, digits"),
        (("create", URL, "--note", "\x1b[2J"), "note"),
        (("change", NOBODY), "--all-events"),
        (("change", NOBODY, "--event", "content.ready", "--all-events"), "either"),
        (("rotate", NOBODY, "--overlap-seconds", "604801"), "604800"),
        (("replay", NOBODY, "--upload", "nonsense"), "upload_id"),
        (("replay", NOBODY, "--since", "soon"), "since"),
        (("replay", NOBODY, "--contents", "--event", "content.ready"), "goes with"),
    ],
)
def test_a_wrong_command_line(sluice: InProcess, arguments: tuple[str, ...], said: str) -> None:
    done = sluice.run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command", ["show", "change", "rotate", "pause", "resume", "delete", "test", "deliveries", "replay"]
)
def test_a_webhook_that_does_not_exist(sluice: InProcess, command: str) -> None:
    more = ["--note", ""] if command == "change" else []
    done = sluice.run(command, NOBODY, *more)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "[WEBHOOK_NOT_FOUND]" in done.stderr


def test_an_address_that_is_not_public_is_refused(sluice: InProcess) -> None:
    done = sluice.run("create", "https://10.0.0.1/")
    assert done.exit_code == 1
    assert "[WEBHOOK_URL_REFUSED]" in done.stderr

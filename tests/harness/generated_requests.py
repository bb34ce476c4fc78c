"""Requests that schemathesis generates from /openapi.json, sent to a running gateway.

Guarantee: the same seed sends the same requests for the same description. What a response must satisfy is in
`_CHECKS`, and in `tests.harness.schemathesis_checks`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.cli.processes import import_path

_CHECKS: Final = (
    "no_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "valid_requests_are_accepted",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
_SECONDS: Final = 240


@dataclass(frozen=True)
class Call:
    """An operation with values of its own. `name`: as `GET /v1/uploads/{id}`. `parameters`: names with their place,
    such as `path.id`, and the values of which most requests use one."""

    name: str
    parameters: Mapping[str, Sequence[str | int]]


async def run(
    url: str,
    document: str,
    directory: Path,
    credentials: Mapping[str, str],
    calls: Sequence[Call],
    *,
    seed: int,
    examples: int,
) -> tuple[int, str]:
    """The exit status of schemathesis, 0 if it finds nothing, and its report. `document`: /openapi.json. `credentials`:
    security scheme -> the bearer token. Files are written to `directory`."""
    (directory / "openapi.json").write_text(document)
    config = directory / "schemathesis.toml"
    config.write_text(_config(credentials, calls, seed, examples))
    report = directory / "report"
    with report.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "--no-color"),
            *("run", str(directory / "openapi.json"), "--url", url, "--phases", "examples,coverage,fuzzing"),
            *("--report", "ndjson", "--report-ndjson-path", str(directory / "events.ndjson")),
            cwd=directory,
            env={
                **os.environ,
                "HYPOTHESIS_STORAGE_DIRECTORY": str(directory / "hypothesis"),
                "PYTHONPATH": import_path(),
            },
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            await asyncio.wait_for(process.wait(), _SECONDS)
        except TimeoutError:
            raise AssertionError(f"schemathesis did not end within {_SECONDS} s; see {directory}") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode is not None
    return process.returncode, report.read_text()


def _config(credentials: Mapping[str, str], calls: Sequence[Call], seed: int, examples: int) -> str:
    lines = [
        f"seed = {seed}",
        "continue-on-failure = true",
        'hooks = "tests.harness.schemathesis_checks"',
        "max-redirects = 0",
        "request-timeout = 20.0",
        "max-stream-events = 3",
        # Ids of responses are not used: the event stream of an upload in flight does not end.
        *(f"phases.{phase}.extra-data-sources.responses = false" for phase in ("examples", "coverage", "fuzzing")),
        "[generation]",
        f"max-examples = {examples}",
        'database = "none"',
        "no-shrink = true",
        "[checks]",
        "enabled = false",
        *(f"{name}.enabled = true" for name in _CHECKS),
        # Also: a refused precondition, a full queue, and a file that is too large, before the rest is looked at.
        'negative_data_rejection.expected-statuses = ["4XX"]',
    ]
    for scheme, token in credentials.items():
        lines += [f"[auth.openapi.{scheme}]", f'bearer = "{token}"']
    for number, call in enumerate(calls):
        names = [f"d{number}-{position}" for position in range(len(call.parameters))]
        for name, values in zip(names, call.parameters.values(), strict=True):
            lines += [f"[dictionaries.{name}]", f"values = {_list(values)}"]
    for number, call in enumerate(calls):
        lines += ["[[operations]]", f'include-name = "{call.name}"', "[operations.parameters]"]
        lines += [
            f'"{parameter}" = {{ dictionary = "d{number}-{position}", probability = 0.9 }}'
            for position, parameter in enumerate(call.parameters)
        ]
    return "\n".join(lines) + "\n"


def _list(values: Sequence[str | int]) -> str:
    return "[" + ", ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in values) + "]"

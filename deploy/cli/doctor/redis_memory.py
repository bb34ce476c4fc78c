"""How much memory Redis may need for uploads that wait, by the limits of the settings.

`tests/contract/redis/test_memory.py` measures the constants and fails if they are wrong:
`.venv/bin/pytest -s tests/contract/redis/test_memory.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from deploy.cli.doctor.findings import Findings
from deploy.cli.formatting import format_bytes
from pipeline.settings import Settings

PLAIN_UPLOAD_BYTES: Final = 5 * 1024
"""Of an upload without metadata."""
LARGEST_UPLOAD_BYTES: Final = 104 * 1024
"""Of one with as much metadata as a client may send, of characters that take most room."""


def judge_memory(info: Mapping[str, Any], settings: Settings, findings: Findings) -> None:
    """Compare what a full queue takes with what this server may use: maxmemory, or without it the machine's memory."""
    usual, most = (settings.queue_uploads * size for size in (PLAIN_UPLOAD_BYTES, LARGEST_UPLOAD_BYTES))
    limit = int(info.get("maxmemory", 0))
    name = "maxmemory" if limit else "the machine's memory"
    limit = limit or int(info.get("total_system_memory", 0))
    what = (
        f"a full queue of {settings.queue_uploads} uploads takes {format_bytes(usual)}, "
        f"with as much metadata as clients may send {format_bytes(most)}"
    )
    if limit and int(info.get("used_memory", 0)) + most > limit:
        findings.warning(
            f"{what}, and {name} is {format_bytes(limit)}",
            "Redis refuses writes when its memory is full. Raise maxmemory, or lower SLUICE_QUEUE_UPLOADS.",
        )
    else:
        findings.ok(what)

"""What clients of a Redis call: scripts by name, with the commands in them, and other commands, from MONITOR."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import redis

from pipeline.adapters.redis.scripts import NAMES, source

OWN = frozenset({"client", "client|setinfo", "exists", "info", "monitor", "script", "script|load"})
"""Commands of the benchmark itself, and of clients that connect."""

_SHOWN = 6


@contextmanager
def monitored(url: str) -> Iterator[list[str]]:
    """The lines of MONITOR during the block."""
    client = redis.Redis.from_url(url, decode_responses=True)
    connection = client.connection_pool.get_connection()
    connection.send_command("MONITOR")
    connection.read_response()
    lines: list[str] = []

    def read() -> None:
        while True:
            try:
                lines.append(str(connection.read_response()))
            except (redis.RedisError, OSError, ValueError, AttributeError):  # the block has ended
                return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield lines
    finally:
        connection.disconnect()
        reader.join(1)


def calls_text(lines: Sequence[str], uploads: int) -> str:
    """A line for each script, with its calls per upload and the commands of each call; then the other commands, with
    those that run without uploads."""
    digests = {hashlib.sha1(source(name).encode(), usedforsecurity=False).hexdigest(): name for name in NAMES}
    scripts: Counter[str] = Counter()
    inside: defaultdict[str, Counter[str]] = defaultdict(Counter)
    others: Counter[str] = Counter()
    latest = ""
    for line in lines:
        head, _, rest = line.partition("] ")
        words = [word.strip('"') for word in rest.split(" ")]
        command = words[0].lower()
        if head.endswith(" lua"):
            inside[latest][command] += 1
        elif command == "evalsha":
            latest = digests.get(words[1], "unknown")
            scripts[latest] += 1
        elif command not in OWN:
            others[command] += 1
    texts = []
    for name, count in scripts.most_common():
        most = ", ".join(f"{command} {number / count:.1f}" for command, number in inside[name].most_common(_SHOWN))
        texts.append(f"  {name} {count / uploads:.1f} x {sum(inside[name].values()) / count:.0f} ({most})")
    texts.append("  others: " + ", ".join(f"{name} {count / uploads:.1f}" for name, count in others.most_common()))
    return "\n".join(texts)

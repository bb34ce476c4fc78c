"""A file that a fuzzing client sends in parts, and joins: with right lists and wrong ones, also two at once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from urllib.parse import quote, urlsplit

from tests.programs.tus_fuzz.file import TUS, TusFile, Violation
from tests.programs.tus_fuzz.requests import Reply, send

_MOST_PARTS = 4
_MOST_STEPS = 6
_MOST_TRIES = 20
_AGAIN_SECONDS = 0.2


async def joined_file(bases: Sequence[str], data: bytes, counts: Counter[str], chance: random.Random) -> TusFile | None:
    """Send `data` in parts and create the final upload; None: it was given up, and nothing of it remains."""
    parts = await _parts(bases, data, counts, chance)
    if parts is None:
        return None
    await _join_too_early(parts, counts, chance)
    await asyncio.gather(*(_send(part) for part in parts))
    if any(part.ended for part in parts) or chance.random() < 0.2:
        await asyncio.gather(*(part.delete() for part in parts))
        return None
    await _join_wrong(parts, counts, chance)
    path = await _join(parts, counts, chance)
    return TusFile(bases, path, data, {}, counts, chance, acknowledged=len(data))


async def _parts(
    bases: Sequence[str], data: bytes, counts: Counter[str], chance: random.Random
) -> list[TusFile] | None:
    cuts = sorted(chance.randrange(1, len(data)) for _ in range(chance.randrange(_MOST_PARTS)))
    borders = [0, *dict.fromkeys(cuts), len(data)]
    parts: list[TusFile] = []
    for first, end in pairwise(borders):
        headers = {**TUS, "Upload-Length": str(end - first), "Upload-Concat": "partial"}
        reply = await send("POST", chance.choice(bases) + "/files/", headers)
        counts[f"part {reply.status}"] += 1
        if reply.status == 429:
            await asyncio.gather(*(part.delete() for part in parts))
            return None
        if reply.status != 201:
            raise Violation(f"the creation of a part was answered with {reply.status}")
        path = urlsplit(reply.headers["location"]).path
        parts.append(TusFile(bases, path, data[first:end], {}, counts, chance))
    return parts


async def _send(part: TusFile) -> None:
    for _ in range(part.random.randrange(_MOST_STEPS)):
        if not part.ended and not part.complete:
            await part.step()
    await part.finish()


async def _final(parts: Sequence[TusFile], counts: Counter[str], chance: random.Random) -> Reply:
    urls = " ".join(chance.choice([part.url, part.path, quote(part.path, safe="")]) for part in parts)
    reply = await send("POST", chance.choice(parts).bases[0] + "/files/", {**TUS, "Upload-Concat": f"final;{urls}"})
    counts[f"final {reply.status}"] += 1
    if reply.status >= 500 or reply.status == 0:
        raise Violation(f"a final upload was answered with {reply.status}")
    return reply


async def _join_too_early(parts: Sequence[TusFile], counts: Counter[str], chance: random.Random) -> None:
    if (await _final(parts, counts, chance)).status == 201:
        raise Violation("parts that have not arrived were joined")


async def _join_wrong(parts: Sequence[TusFile], counts: Counter[str], chance: random.Random) -> None:
    """A part twice, and one that does not exist."""
    unknown = TusFile(parts[0].bases, "/files/01900000-0000-7000-8000-000000000000", b"", {}, counts, chance)
    for wrong in ([*parts, parts[0]], [*parts, unknown]):
        if (await _final(wrong, counts, chance)).status == 201:
            raise Violation("a wrong list was joined")


async def _join(parts: Sequence[TusFile], counts: Counter[str], chance: random.Random) -> str:
    """The path of the final upload. Several requests at once make one."""
    for _ in range(_MOST_TRIES):
        lists = [parts] * chance.randrange(1, 4)
        replies = await asyncio.gather(*(_final(item, counts, chance) for item in lists))
        found = {urlsplit(reply.headers["location"]).path for reply in replies if reply.status == 201}
        if len(found) > 1:
            raise Violation(f"parts were joined to {found}")
        for path in found:
            reply = await send("PATCH", parts[0].bases[0] + path, {**TUS, "Upload-Offset": "0"}, b"x")
            if reply.status not in (403, 415):
                raise Violation(f"bytes for a final upload were answered with {reply.status}")
            return path
        if {reply.status for reply in replies} - {423}:
            raise Violation(f"complete parts were not joined: {[reply.status for reply in replies]}")
        await asyncio.sleep(_AGAIN_SECONDS)  # what a client does after 423
    raise Violation("the store did not receive the parts in time")

"""Upload ids as people type them: a whole id, or its beginning.

Guarantee: the beginning of an id is accepted only if exactly one upload has it. Only a beginning is searched for in the
list of uploads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from deploy.cli.client import SluiceClient
from deploy.cli.errors import ClientError
from deploy.cli.names import shown

_WHOLE: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BEGINNING: Final = re.compile(r"[0-9a-f-]{1,36}")
_PAGE: Final = 200
_MOST_NAMED: Final = 10


class UploadIdError(ClientError):
    """The text names no upload, or more than one."""


async def find_upload_id(client: SluiceClient, text: str) -> str:
    """The id that is `text` or begins with it. Raises UploadIdError."""
    wanted = text.strip().lower()
    if _WHOLE.fullmatch(wanted):
        return wanted
    if not _BEGINNING.fullmatch(wanted):
        raise UploadIdError(f"{shown(text)} is neither the id of an upload nor the beginning of one.")
    found: list[str] = []
    unreachable: list[int] = []
    cursor: str | None = None
    while True:
        page = await client.uploads(limit=_PAGE, cursor=cursor)
        found += [view.id for view in page.items if view.id.startswith(wanted)]
        unreachable = page.unreachable_cells or unreachable
        cursor = page.next_cursor
        if cursor is None:
            break
    found = list(dict.fromkeys(found))  # an upload may move to the next page between two requests
    if len(found) == 1:
        return found[0]
    if not found:
        known = f"{not_responding(unreachable)}." if unreachable else "`sluice status` lists the uploads."
        raise UploadIdError(f"No upload has an id that begins with {wanted}. {known}")
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    raise UploadIdError(
        f"{len(found)} uploads have an id that begins with {wanted}: {', '.join(found[:_MOST_NAMED])}{more}."
    )


def not_responding(cells: Sequence[int]) -> str:
    """Which cells of the installation do not respond, as the beginning of a sentence."""
    if len(cells) == 1:
        return f"Cell {cells[0]} does not respond"
    return f"Cells {', '.join(map(str, cells))} do not respond"

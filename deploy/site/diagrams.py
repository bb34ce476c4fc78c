"""State diagrams as tables: the site has no script that draws Mermaid, which code hosts draw by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_BLOCK: Final = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TRANSITION: Final = re.compile(r"(\S+) --> ([^\s:]+)(?:: (\w+))?")
_OUTSIDE: Final = "[*]"


def with_tables(markdown: str) -> str:
    """`markdown` with a table in place of each Mermaid block. Raises ValueError for what is no state diagram."""
    return _BLOCK.sub(lambda found: "\n".join(_table(found[1])), markdown)


def _table(diagram: str) -> Iterator[str]:
    head, *lines = diagram.splitlines()
    if head != "stateDiagram-v2":
        raise ValueError(f"the site shows state diagrams only, not {head!r}")
    following: dict[str, list[str]] = {}
    for line in lines:
        found = _TRANSITION.fullmatch(line.strip())
        if found is None:
            raise ValueError(f"no transition: {line!r}")
        following.setdefault(found[1], []).append(_step(found[2], found[3]))
    yield "| status | event → next status |"
    yield "|---|---|"
    for status, steps in following.items():
        yield f"| {'at creation' if status == _OUTSIDE else f'`{status}`'} | {', '.join(steps)} |"


def _step(status: str, event: str | None) -> str:
    if status == _OUTSIDE:
        return "none: the upload has ended"
    return f"`{event}` → `{status}`" if event else f"`{status}`"

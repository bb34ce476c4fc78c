"""The links of Markdown files: those that lead to a file of the repository, without those in code."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Final

_CODE_OR_TARGET: Final = re.compile(
    r"^ *(?P<fence>`{3,}|~{3,}).*?^ *(?P=fence) *$"  # a block of code
    r"|(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)"  # code in a line
    r"|(?<=\]\()(?P<target>[^)\s]+)",
    re.MULTILINE | re.DOTALL,
)
_ELSEWHERE: Final = re.compile(r"[a-z][a-z0-9+.-]*:|/|#", re.IGNORECASE)


def rewritten(markdown: str, change: Callable[[str], str]) -> str:
    """`markdown` with the target of each relative link, its anchor included, replaced by `change` of it."""

    def one(found: re.Match[str]) -> str:
        target = found["target"]
        return found[0] if target is None or _ELSEWHERE.match(target) else change(target)

    return _CODE_OR_TARGET.sub(one, markdown)


def targets(markdown: str) -> list[str]:
    """The target of each relative link, in order, its anchor included."""
    found: list[str] = []

    def note(target: str) -> str:
        found.append(target)
        return target

    rewritten(markdown, note)
    return found


def resolved(page: str, target: str) -> tuple[str, str]:
    """The file to which a link leads, as a path in the repository, and its anchor: "" or "#name". `page` is the path of
    the file that has the link. A path outside of the repository begins with `..`."""
    path, mark, anchor = target.partition("#")
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path)), mark + anchor


def relative(page: str, target: str) -> str:
    """The link from one path to another, both from the same root."""
    return posixpath.relpath(target, posixpath.dirname(page) or ".")

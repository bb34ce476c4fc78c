"""The Markdown files of the repository that people read, and the headings of a file as code hosts link to them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[2]
PAGES: Final = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "deploy/**/*.md", "gateway/**/*.md")
    for path in REPOSITORY.glob(pattern)
)


def anchors(markdown: str) -> set[str]:
    """The anchor of each heading: its text in small letters, without punctuation, with hyphens for spaces. Of headings
    with the same text, the second has `-1` at its end, and so on."""
    found: dict[str, int] = {}
    for title in re.findall(r"^#+ (.+)$", _without_code(markdown), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    return {f"{slug}-{number}" if number else slug for slug, last in found.items() for number in range(last + 1)}


def _without_code(markdown: str) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", markdown, flags=re.MULTILINE | re.DOTALL)

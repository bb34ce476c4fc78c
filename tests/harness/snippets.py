"""The code blocks of the documents, so that tests run what a reader copies."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parents[2] / "docs"


def snippet(document: str, language: str, containing: str) -> str:
    """The only block of this language in a file of docs/ that contains this text. Raises ValueError."""
    text = (DOCS / document).read_text("utf-8")
    blocks = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    (found,) = (textwrap.dedent(block) for _, block in blocks if containing in block)
    return found


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """The text with values in place of those that a reader replaces, each of which occurs once."""
    for old, new in values.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text

"""On the site, the diagram of ARCHITECTURE.md is a table with the same transitions."""

from __future__ import annotations

import pytest

from deploy.site.diagrams import with_tables
from pipeline.core.lifecycle import diagram
from tests.harness.markdown_files import REPOSITORY

pytestmark = pytest.mark.unit


def test_every_transition_is_in_the_table() -> None:
    page = with_tables((REPOSITORY / "ARCHITECTURE.md").read_text("utf-8"))
    assert "mermaid" not in page
    rows = dict(line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `"))
    for line in diagram().splitlines()[1:]:
        start, _, rest = line.strip().partition(" --> ")
        end, _, event = rest.partition(": ")
        if "[*]" not in (start, end):
            assert f"`{event}` → `{end}`" in rows[f"`{start}`"].split(", ")


@pytest.mark.parametrize("text", ["```mermaid\nflowchart LR\n```\n", "```mermaid\nstateDiagram-v2\n  a ==> b\n```\n"])
def test_what_cannot_be_a_table_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"flowchart|==>"):
        with_tables(text)

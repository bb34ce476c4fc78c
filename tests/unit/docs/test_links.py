"""Every link between files of the repository leads to a file, and to a heading in it: what a code host shows."""

from __future__ import annotations

import pytest

from deploy.site.links import relative, resolved, rewritten, targets
from tests.harness.markdown_files import PAGES, REPOSITORY, anchors

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_somewhere(page: str) -> None:
    text = (REPOSITORY / page).read_text("utf-8")
    own = [f"#{anchor}" for anchor in anchors(text)]
    broken = []
    for target in targets(text):
        path, anchor = resolved(page, target)
        file = REPOSITORY / path
        if not file.exists() or (anchor and anchor[1:] not in anchors(file.read_text("utf-8"))):
            broken.append(target)
    broken += [target for target in _within(text) if target not in own]
    assert broken == []


def test_links_are_found_where_they_are_not_code() -> None:
    line = "[a](b.md#c) `[not](this.md)` [`code`](d/e) [out](https://x.example) [in](#page)"
    text = f"{line}\n```\n[not](f.md)\n```\n[g](h)"
    assert targets(text) == ["b.md#c", "d/e", "h"]
    assert rewritten(text, str.upper).count(".md") == 2  # those in code


@pytest.mark.parametrize(
    ("page", "target", "path", "anchor"),
    [
        ("docs/a.md", "b.md#c", "docs/b.md", "#c"),
        ("docs/reference/a.md", "../../deploy/cdn", "deploy/cdn", ""),
        ("README.md", "docs/a.md", "docs/a.md", ""),
        ("docs/a.md", "../../elsewhere", "../elsewhere", ""),
    ],
)
def test_a_link_leads_to_a_path_in_the_repository(page: str, target: str, path: str, anchor: str) -> None:
    assert resolved(page, target) == (path, anchor)


def test_a_page_links_to_another_from_where_it_is() -> None:
    assert relative("reference/settings.md", "planning.md") == "../planning.md"
    assert relative("index.md", "source/deploy/compose.md") == "source/deploy/compose.md"


def _within(text: str) -> list[str]:
    """The links of a page to its own headings."""
    return ["#" + part.partition(")")[0] for part in text.split("](#")[1:]]

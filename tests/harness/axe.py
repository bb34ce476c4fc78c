"""Accessibility of a page in Chromium, as axe-core judges it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from tests.harness.chromium import Page
from tests.harness.javascript import require_javascript

_SECONDS: Final = 180
"""axe applies each rule to each element. The largest page, /docs with every part open, has more than 20,000 elements,
which takes several seconds on an idle machine, and many times that beside other tests."""


COLOURS: Final = ("color-contrast", "link-in-text-block")
"""The rules that depend on colours, and so on the theme. All others judge elements, which every theme shares."""


async def serious(page: Page, rules: Sequence[str] = ()) -> list[Any]:
    """What axe calls serious or critical: of each rule, its id and the first elements, each with what is wrong.
    `rules`: the only rules to apply; none: all."""
    only = f", runOnly: {json.dumps(rules)}" if rules else ""
    await page.run((require_javascript() / "node_modules/axe-core/axe.min.js").read_text("utf-8") + "; 0")
    found: list[Any] = await page.run(
        f"axe.run(document, {{resultTypes: ['violations']{only}}}).then((result) => result.violations"
        ".filter(({impact}) => impact === 'serious' || impact === 'critical')"
        ".map(({id, nodes}) => [id, nodes.slice(0, 3).map(({html, failureSummary}) => [html, failureSummary])]))",
        seconds=_SECONDS,
    )
    return found

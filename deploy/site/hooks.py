"""What MkDocs does not do by itself: links to files outside of docs/, and Markdown as code hosts read it.

Guarantee: a link between files of the repository works on a code host and on the site. On the site it leads to the
page that is made from the file; where there is none, to a page that shows the file. A link to nothing stays as it is,
and MkDocs reports it. The Markdown of every page is normalized first, because Python-Markdown, other than CommonMark,
needs a blank line before a list and four spaces for what belongs to an item.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import mdformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page
from pathspec import GitIgnoreSpec

from deploy.site.diagrams import with_tables
from deploy.site.links import relative, resolved, rewritten, targets

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = "docs/"
SOURCE: Final = "source/"
"""Where the site shows files that are no pages."""

PAGES: Final = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "deploy/cdn/README.md": "deploy/cdn.md",
    "deploy/kubernetes/README.md": "deploy/kubernetes.md",
    "gateway/pages/client/README.md": "reference/javascript.md",
}
"""Markdown outside of docs/ -> its page. The README is for the host of the code; the site has its own first page."""

_LANGUAGES: Final = {".py": "python", ".java": "java", ".jsx": "jsx", ".html": "html", ".yaml": "yaml", ".json": "json"}
_ROW: Final = re.compile(r"^ *\|.*$", re.MULTILINE)
_CODE: Final = re.compile(r"`[^`]*`")
_HIDDEN: Final = "---\nsearch:\n  exclude: true\n---\n"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds the pages from outside of docs/, and a page for every other file that a page links to."""
    for path, uri in PAGES.items():
        if not files.get_file_from_path(uri):
            files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    for path in sorted(_shown(files)):
        uri, content = f"{SOURCE}{path}.md", _HIDDEN + _source_page(path)
        files.append(File.generated(config, uri, content=content, inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown: str, *, page: Page, files: Files, **_: Any) -> str:
    """Rewrites the links of a page for the site, and its Markdown for Python-Markdown."""
    uri = page.file.src_uri
    if uri.startswith(SOURCE):
        return markdown
    origin = _origin(uri)

    def on_site(target: str) -> str:
        path, anchor = resolved(origin, target)
        leads_to = _uri(path, files)
        return target if leads_to is None else relative(uri, leads_to) + anchor

    text = rewritten(with_tables(markdown), on_site)
    if "\n## " not in text:  # there is nothing to list, and the tables of such a page need the room
        page.meta.setdefault("hide", ["toc"])
    return _pipes(mdformat.text(text, options={"number": True, "wrap": "keep"}, extensions={"mkdocs", "gfm"}))


def _pipes(markdown: str) -> str:
    """In code in a table, code hosts need a backslash before a pipe, and Python-Markdown would show it."""
    return _ROW.sub(lambda row: _CODE.sub(lambda code: code[0].replace("\\|", "|"), row[0]), markdown)


def _origin(uri: str) -> str:
    """The path in the repository of the file that a page is made from."""
    made = {page: path for path, page in PAGES.items() if path != "README.md"}
    return made.get(uri, DOCS + uri)


def _uri(path: str, files: Files) -> str | None:
    """The file of the site that shows this file or directory of the repository; None: nothing does."""
    in_docs = path.removeprefix(DOCS) if path.startswith(DOCS) else None
    for uri in (PAGES.get(path), PAGES.get(f"{path}/README.md"), in_docs, f"{SOURCE}{path}.md"):
        file = files.get_file_from_path(uri) if uri else None
        if file is not None and file.inclusion is not InclusionLevel.EXCLUDED:
            return uri
    return None


def _shown(files: Files) -> set[str]:
    """Every linked path that has no page yet; with a directory, all files in it that git does not ignore."""
    found: set[str] = set()
    for file in files.documentation_pages():
        origin = _origin(file.src_uri)
        for target in targets((ROOT / origin).read_text("utf-8")):
            path, _ = resolved(origin, target)
            if _uri(path, files) is None and (ROOT / path).exists() and not path.startswith(".."):
                found |= {path, *_inside(path)}
    return found


def _inside(path: str) -> Iterator[str]:
    ignored = GitIgnoreSpec.from_lines((ROOT / ".gitignore").read_text("utf-8").splitlines())
    for file in (ROOT / path).rglob("*"):
        name = file.relative_to(ROOT).as_posix()
        if file.is_file() and not ignored.match_file(name):
            yield name


def _source_page(path: str) -> str:
    """A file as it is; a directory as a list of its files."""
    if (ROOT / path).is_dir():
        lines = [f"- [{name}]({relative(path, name)}.md)" for name in sorted(_inside(path))]
        return "\n".join([f"# `{path}`", "", *lines, ""])
    text = (ROOT / path).read_text("utf-8")
    fence = "`" * max(3, 1 + max((len(ticks) for ticks in re.findall("`+", text)), default=0))
    return f"# `{path}`\n\n{fence}{_LANGUAGES.get(Path(path).suffix, 'text')}\n{text.rstrip()}\n{fence}\n"

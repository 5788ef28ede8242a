"""Hooks of MkDocs: pages from outside of docs/, links between all of them, the public names."""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
# Pages of the repository that the site has too, by their place in it.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    **{
        f"melanoma_tf/pretrained/{path.name}": f"models/{path.name}"
        for path in (REPOSITORY / "melanoma_tf" / "pretrained").glob("*.md")
    },
}
_SOURCES = {place: source for source, place in PAGES.items()}
_LINK = re.compile(r"(?<=\]\()([^)\s#]+)(?=[)#])")


def on_config(config: Any) -> None:
    """Add pages of docs/ that the navigation does not name yet to the guides."""
    pages = sorted(path.name for path in (REPOSITORY / "docs").glob("*.md"))
    (guides,) = (section["Guides"] for section in config["nav"] if "Guides" in section)
    guides += unlisted(config["nav"], pages)


def unlisted(navigation: Any, pages: list[str]) -> list[str]:
    """The pages that a navigation, as MkDocs reads it, does not name."""
    named = str(navigation)
    return [page for page in pages if f"'{page}'" not in named]


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that do not lie in docs/."""
    from mkdocs.structure.files import File

    for source, place in PAGES.items():
        files.append(File.generated(config, place, abs_src_path=str(REPOSITORY / source)))
    files.append(File.generated(config, "reference.md", content=reference()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links to where the pages are in the site."""
    return relinked(markdown, page.file.src_uri)


def relinked(markdown: str, place: str) -> str:
    """The page at `place` in the site, with links that are right there.

    A link to what the site does not have stays as it is; MkDocs warns of it.
    """
    folder = posixpath.dirname(_SOURCES.get(place, f"docs/{place}"))

    def moved(match: re.Match[str]) -> str:
        link = match.group()
        if re.match(r"[a-z]+:", link):
            return link
        target = posixpath.normpath(posixpath.join(folder, link))
        found = PAGES.get(target, target[len("docs/") :] if target.startswith("docs/") else None)
        return link if found is None else posixpath.relpath(found, posixpath.dirname(place) or ".")

    return _LINK.sub(moved, markdown)


def reference() -> str:
    """The page of the public names: mkdocstrings reads each from the sources."""
    sys.path.insert(0, str(REPOSITORY))
    import melanoma_tf

    lines = [
        "# Public names",
        "",
        "Imported when they are used.",
        "",
    ]
    for name, place in melanoma_tf._PUBLIC.items():
        module, _, attribute = place.partition(":")
        lines += [
            f"::: melanoma_tf.{module}.{attribute or name}",
            f"    options: {{heading: melanoma_tf.{name}, toc_label: {name}}}",
            "",
        ]
    return "\n".join(lines)

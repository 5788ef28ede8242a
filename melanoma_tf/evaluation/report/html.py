"""Pieces of an HTML page that stands alone: tables, pictures, sections. All text is escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Union

from markupsafe import Markup, escape

Text = Union[str, Markup]

_STYLE = """
:root { color-scheme: light; --ink: #222; --soft: #595959; --line: #d4d4d4; --shade: #f4f6f8; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 66rem; padding: 0 1rem 3rem; background: #fff; color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 1.5rem 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem; padding-top: .75rem;
  border-top: 2px solid #0072b2; }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .25rem; overflow-wrap: anywhere; }
p { margin: .5rem 0; max-width: 46rem; }
a { color: #005a8e; }
.soft { color: var(--soft); }
.notice { border-left: 4px solid #d55e00; background: #fdf3ec; padding: .4rem .8rem; }
.device { font-weight: 600; margin: 0; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; padding: 0; }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem 1rem .3rem 0; text-align: left;
  vertical-align: top; }
thead th { border-bottom: 2px solid var(--ink); vertical-align: bottom; }
tbody th { font-weight: 400; }
td.number, th.number { text-align: right; }
td.number { white-space: nowrap; }
td.text { overflow-wrap: anywhere; min-width: 9rem; }
.interval { display: block; color: var(--soft); font-size: .82em; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr));
  gap: 1rem; align-items: start; }
.wide { max-width: 40rem; }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr));
  gap: 1rem; align-items: start; }
figure { margin: .5rem 0; break-inside: avoid; }
figure img { max-width: 100%; height: auto; display: block; }
.pair { display: flex; gap: 4px; }
.pair img { width: calc(50% - 2px); }
.pairs > figure > img { width: 50%; }
figcaption { font-size: .85rem; color: var(--soft); margin-top: .25rem; overflow-wrap: anywhere; }
details { margin: .75rem 0; }
summary { cursor: pointer; color: #005a8e; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); font-size: .85rem;
  color: var(--soft); overflow-wrap: anywhere; }
@media print {
  body { max-width: none; font-size: 10pt; padding: 0; }
  nav { display: none; }
  h2, h3, caption { break-after: avoid; }
  tr { break-inside: avoid; }
  .scroll { overflow: visible; }
  table { font-size: 8pt; }
  .figures { grid-template-columns: repeat(2, 1fr); }
  .pairs { grid-template-columns: repeat(3, 1fr); }
}
"""

# Nothing is fetched, whatever a file name or a manifest might contain.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def join(parts: Iterable[Text]) -> Markup:
    """The parts one after the other."""
    return Markup("\n").join(parts)


def paragraph(text: Text, kind: str = "") -> Markup:
    """A paragraph; `kind` is `soft`, `notice` or nothing."""
    if not kind:
        return Markup("<p>{}</p>").format(text)
    return Markup('<p class="{}">{}</p>').format(kind, text)


def heading(text: Text) -> Markup:
    """A heading within a section."""
    return Markup("<h3>{}</h3>").format(text)


def table(
    caption: str, header: Sequence[Text], rows: Iterable[Sequence[Text]], *, text_columns: int = 1
) -> Markup:
    """A table whose first column names the rows.

    Args:
        caption: above it, and what it is called where it has to be scrolled.
        header: names of the columns.
        rows: cells; the first is a header.
        text_columns: how many columns, from the left, hold text; the others are set as numbers.
    """
    kinds = ["text" if index < text_columns else "number" for index in range(len(header))]
    top = join(
        Markup('<th scope="col" class="{}">{}</th>').format(kind, cell)
        for kind, cell in zip(kinds, header)
    )
    body = join(_row(row, kinds) for row in rows)
    return Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="{}">\n<table>\n'
        "<caption>{}</caption>\n<thead><tr>{}</tr></thead>\n<tbody>\n{}\n</tbody>\n</table>\n</div>"
    ).format(caption, caption, top, body)


def _row(cells: Sequence[Text], kinds: Sequence[str]) -> Markup:
    first = Markup('<th scope="row">{}</th>').format(cells[0])
    others = [
        Markup('<td class="{}">{}</td>').format(kind, cell)
        for kind, cell in zip(kinds[1:], cells[1:])
    ]
    return Markup("<tr>{}{}</tr>").format(first, Markup("").join(others))


def image(content: bytes, kind: str, alternative: str) -> Markup:
    """An embedded picture.

    Args:
        content: of the file.
        kind: `svg+xml`, `png` or `jpeg`.
        alternative: what it shows, in words.
    """
    data = base64.b64encode(content).decode("ascii")
    return Markup('<img src="data:image/{};base64,{}" alt="{}">').format(kind, data, alternative)


def figure(*images: Markup, caption: Text = "", kind: str = "") -> Markup:
    """One picture, or a pair side by side, and what is said below.

    Args:
        images: from `image`.
        caption: below; nothing where it is empty.
        kind: `wide` for a picture larger than the columns of `figures`.
    """
    inside = (
        images[0] if len(images) == 1 else Markup('<div class="pair">{}</div>').format(join(images))
    )
    below = Markup("<figcaption>{}</figcaption>").format(caption) if caption else Markup("")
    return Markup('<figure class="{}">{}{}</figure>').format(kind, inside, below)


def grid(figures: Iterable[Markup], kind: str = "figures") -> Markup:
    """Figures beside each other where there is room; `kind` is `figures` or `pairs`."""
    return Markup('<div class="{}">{}</div>').format(kind, join(figures))


def details(summary: str, *parts: Text) -> Markup:
    """Parts that are folded up at first."""
    return Markup("<details><summary>{}</summary>\n{}\n</details>").format(summary, join(parts))


def section(identifier: str, title: str, *parts: Text) -> tuple[str, str, Markup]:
    """A section of `page`: its identifier, its title and its content."""
    return identifier, title, join(parts)


def page(
    title: str, head: Iterable[Text], sections: Sequence[tuple[str, str, Markup]], foot: Text
) -> str:
    """The whole page.

    Args:
        title: of the page.
        head: what stands below the title.
        sections: from `section`, in their order; they are listed above the first.
        foot: the last words.
    """
    links = join(
        Markup('<li><a href="#{}">{}</a></li>').format(identifier, name)
        for identifier, name, _ in sections
    )
    content = join(
        Markup('<section aria-labelledby="{}">\n<h2 id="{}">{}</h2>\n{}\n</section>').format(
            identifier, identifier, name, parts
        )
        for identifier, name, parts in sections
    )
    template = Markup(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        "<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        "<header>\n<h1>{title}</h1>\n{head}\n</header>\n"
        '<nav aria-label="Sections"><ul>\n{links}\n</ul></nav>\n'
        "<main>\n{content}\n</main>\n<footer>{foot}</footer>\n</body>\n</html>\n"
    )
    return str(
        template.format(
            policy=_POLICY, title=title, style=Markup(_STYLE), head=join(head),
            links=links, content=content, foot=foot,
        )
    )  # fmt: skip


__all__ = [
    "Markup", "Text", "details", "escape", "figure", "grid", "heading", "image", "join",
    "page", "paragraph", "section", "table",
]  # fmt: skip

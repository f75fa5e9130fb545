"""A report as one HTML file: read on a screen or a phone, in light or dark, without network or any other file.

Figures are drawn twice: an SVG image that stands without scripts, and plotly's interactive form that takes its place.
Every name is escaped; should one slip through, the page's Content-Security-Policy runs only the two scripts written
here (by their hashes) and loads nothing from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ablate.figures import paper, screen
from ablate.registry import Registry
from ablate.reports.document import (
    Block,
    Bullets,
    Code,
    Document,
    Heading,
    Line,
    Paragraph,
    Picture,
    ReportFormat,
    Section,
    Span,
    Table,
    Terms,
)
from ablate.tables.table import Format, TableOptions

SHOWN = 30
"""Items of a list, or lines of code, that are open; more unfold."""

LONG = 40
"""A table of more rows scrolls in its own box, its header in view."""


@dataclass(frozen=True)
class Html(ReportFormat):
    """One page that a browser shows without network."""

    ending: ClassVar[str] = ".html"

    def files(self, document: Document, name: str) -> dict[str, bytes]:
        """The report as one file. Equal documents give equal bytes."""
        return {name: page(document).encode("utf-8")}

    def paragraph(self, text: str) -> str:
        table: Format = Registry().make("tables", "html", {})
        return table.text(text)


def page(document: Document) -> str:
    table = Registry().make("tables", "html", {})
    pictures = [block for section in document.sections for block in section.blocks if isinstance(block, Picture)]
    scripts = _scripts(pictures)
    parts = [part for section in document.sections for part in _section(section, table)]
    links = [f'<li><a href="#{_name(s.key)}">{table.text(s.title)}</a></li>' for s in document.sections]
    return _PAGE.format(
        policy=_policy(scripts),
        title=table.text(document.title),
        subtitle=table.text(document.subtitle),
        style=_STYLE,
        links="\n".join(links),
        main="\n".join(parts),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
    )


def _policy(scripts: Sequence[str]) -> str:
    """Nothing is loaded, and only these scripts run."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode() for script in scripts)
    run = " ".join(f"'sha256-{digest}'" for digest in hashes) or "'none'"
    return (
        f"default-src 'none'; script-src {run}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; "
        "form-action 'none'"
    )


# --------------------------------------------------------------------------------------------------------------- blocks


def _section(section: Section, table: Format) -> Iterator[str]:
    yield f'<section id="{_name(section.key)}">\n<h2>{table.text(section.title)}</h2>'
    for block in section.blocks:
        yield from _block(block, table)
    yield "</section>"


def _block(block: Block, table: Format) -> Iterator[str]:
    match block:
        case Paragraph(text):
            yield f"<p>{_line(text, table)}</p>"
        case Heading(text):
            yield f"<h3>{_line(text, table)}</h3>"
        case Bullets():
            yield from _bullets(block, table)
        case Code(text):
            lines = "\n".join(_indented(line, table) for line in text.split("\n"))
            listing = f'<pre tabindex="0"><code>{lines}</code></pre>'
            count = text.count("\n") + 1
            yield f"<details><summary>{count} lines</summary>\n{listing}\n</details>" if count > SHOWN else listing
        case Terms(items):
            yield "<dl>"
            for term, explained in items:
                yield f"<dt>{table.text(term)}</dt><dd>{_line(explained, table)}</dd>"
            yield "</dl>"
        case Table():
            yield _table(block, table)
        case Picture():
            yield _picture(block, table)


def _indented(line: str, table: Format) -> str:
    """A line of code with the blanks at its start, which `text` would strip."""
    line = line.replace("\t", "    ")
    return " " * (len(line) - len(line.lstrip(" "))) + table.text(line)


def _bullets(block: Bullets, table: Format) -> Iterator[str]:
    tag = "ol" if block.numbered else "ul"
    kind = ' class="minor"' if block.minor else ""
    items = [f"<li>{_line(item, table)}</li>" for item in block.items]
    yield f"<{tag}{kind}>\n" + "\n".join(items[:SHOWN]) + f"\n</{tag}>"
    rest = items[SHOWN:]
    if rest:
        start = f' start="{SHOWN + 1}"' if block.numbered else ""
        yield f"<details><summary>{len(rest)} more</summary>\n<{tag}{start}{kind}>\n" + "\n".join(rest)
        yield f"</{tag}>\n</details>"


def _table(block: Table, table: Format) -> str:
    rendered = table.render(block.data, TableOptions(caption=block.caption, label=block.label))
    rows = len(block.data.rows)
    kind = "scroll tall" if rows > LONG else "scroll"
    return f'<div class="{kind}" role="region" aria-label="{table.text(block.caption)}" tabindex="0">\n{rendered}</div>'


def _picture(block: Picture, table: Format) -> str:
    scene = block.scene
    svg = base64.b64encode(paper.draw(scene, "svg", 2)).decode()
    alt = table.text(scene.alt)
    return (
        f'<figure>\n<div class="drawn" id="figure-{_name(block.name)}" role="img" aria-label="{alt}">'
        f'<img alt="{alt}" src="data:image/svg+xml;base64,{svg}"></div>\n'
        f"<figcaption><strong>{table.text(scene.title)}.</strong> {table.text(scene.caption)}</figcaption>\n</figure>"
    )


def _line(text: Line, table: Format) -> str:
    return "".join(_span(span, table) for span in text)


_TAGS = {"strong": "strong", "emphasis": "em", "code": "code"}


def _span(span: Span, table: Format) -> str:
    # One_line strips the blanks around a span, which part it from its neighbours.
    before = " " if span.text[:1].isspace() else ""
    after = " " if span.text[-1:].isspace() and span.text.strip() else ""
    text = before + table.text(span.text) + after
    tag = _TAGS.get(span.style)
    text = f"<{tag}>{text}</{tag}>" if tag else text
    return f'<a href="{table.text(span.href)}" rel="noreferrer">{text}</a>' if span.href else text


def _name(text: str) -> str:
    """For an id and for a link to it."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text)


# -------------------------------------------------------------------------------------------------------------- scripts


def _scripts(pictures: Sequence[Picture]) -> list[str]:
    """plotly itself, once, and the figures; none where there is nothing to draw."""
    if not pictures:
        return []
    given = {}
    for picture in pictures:
        wide, narrow = screen.figure(picture.scene), screen.figure(picture.scene, narrow=True)
        given[f"figure-{_name(picture.name)}"] = {
            "data": wide["data"], "wide": wide["layout"], "narrow": narrow["layout"],
        }  # fmt: skip
    drawing = _DRAW % {"given": screen.in_script(given), "config": screen.in_script(screen.CONFIG)}
    return [screen.library(), drawing]


_DRAW = """
const figures = %(given)s;
const dark = matchMedia("(prefers-color-scheme: dark)"), narrow = matchMedia("(max-width: 640px)");
function draw() {
  for (const [name, given] of Object.entries(figures)) {
    const place = document.getElementById(name);
    if (!place.dataset.drawn) { place.replaceChildren(); place.dataset.drawn = "yes"; }
    const layout = structuredClone(narrow.matches ? given.narrow : given.wide);
    layout.font.color = dark.matches ? "#e6e6e6" : "#222222";
    Plotly.react(place, structuredClone(given.data), layout, %(config)s);
  }
}
dark.addEventListener("change", draw);
narrow.addEventListener("change", draw);
draw();
"""

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --dim: #595959; --line: #c8c8c8; --page: #ffffff; --panel: #f5f5f3;
  --link: #0a5a9c; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e6; --dim: #a8a8a4; --line: #4a4a48; --page: #181817; --panel: #232321; --link: #7db8ea; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 64rem; color: var(--ink); background: var(--page);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 0.25rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.75rem; padding-top: 0.75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.5rem 0 0.5rem; }
p, li, dd, figcaption { max-width: 46rem; }
header p { color: var(--dim); margin: 0; }
a { color: var(--link); }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; padding: 0; margin: 1rem 0 0; }
ul, ol { padding-left: 1.4rem; }
li { margin: 0.25rem 0; }
.minor { color: var(--dim); font-size: 0.875rem; line-height: 1.45; }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: 0.25rem 1.25rem; margin: 1rem 0; }
dt { color: var(--dim); }
dd { margin: 0; }
pre, code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, monospace; font-size: 0.875em; }
pre { background: var(--panel); padding: 0.75rem 1rem; border-radius: 4px; overflow-x: auto; overflow-wrap: normal; }
.scroll { overflow-x: auto; margin: 1rem 0; }
.tall { max-height: 85vh; overflow-y: auto; border-bottom: 1px solid var(--line); }
.tall thead th { position: sticky; top: 0; background: var(--page); }
table { border-collapse: collapse; font-size: 0.875rem; line-height: 1.4; overflow-wrap: normal; }
caption { text-align: left; font-weight: 600; padding-bottom: 0.5rem; position: sticky; left: 0; width: max-content;
  max-width: min(46rem, calc(100vw - 2rem)); }
th, td { padding: 0.3rem 0.75rem; text-align: left; font-weight: normal; vertical-align: top; }
th:first-child, td:first-child { padding-left: 0; }
thead th { border-top: 2px solid var(--ink); border-bottom: 1px solid var(--ink); vertical-align: bottom; }
tbody th[scope=rowgroup] { font-style: italic; color: var(--dim); padding-top: 0.6rem; }
tbody tr:hover > * { background: var(--panel); }
tbody:last-of-type tr:last-child > * { border-bottom: 2px solid var(--ink); }
tbody th[scope=row] { min-width: 9rem; }
.tick { text-align: center; }
.apart > * { border-top: 1px solid var(--line); }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
thead .number { white-space: normal; }
figure { margin: 1rem 0; }
figure img { width: 100%; height: auto; background: #ffffff; }
figcaption { font-size: 0.875rem; color: var(--dim); }
figcaption strong { color: var(--ink); }
details summary { cursor: pointer; color: var(--link); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
@media (max-width: 640px) {
  body { padding: 1.25rem 1rem 3rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin: 0 0 0.5rem; }
}
@media print { nav { display: none; } .scroll, .tall { overflow: visible; max-height: none; } }
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p>{subtitle}</p>
<nav aria-label="Sections"><ul>
{links}
</ul></nav>
</header>
<main>
{main}
</main>
{scripts}
</body>
</html>
"""

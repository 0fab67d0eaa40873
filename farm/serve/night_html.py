"""A night as one HTML page that stands by itself: in a browser, and in mail clients, which know no style sheets but inline ones. Pure.

Mail clients that leave out <style> show black on white; those that heed it, and browsers, follow the reader's dark or light.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from farm.serve.night_text import describe, facts, headline, rest, sections, shown

if TYPE_CHECKING:
    from farm.model.night import Item, Night
    from farm.serve.night_text import Section

_CELL = "padding:4px 10px 4px 0;vertical-align:top;text-align:left;border-top:1px solid #8884"
_FONT = "font-family:system-ui,-apple-system,'Segoe UI',sans-serif;font-size:15px;line-height:1.45"
_CODE = "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px;overflow-wrap:anywhere"
_TABLE = "border-collapse:collapse;width:100%;table-layout:fixed;overflow-wrap:anywhere"
_COLUMNS = (("Package", "22%"), ("For", "31%"), ("What and why", "47%"))
_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0; background: #ffffff; color: #1b1b1b; }
.bad { color: #a4000f; }
.quiet { color: #5c5c5c; }
@media (prefers-color-scheme: dark) {
  body { background: #16181b; color: #e8e8e8; }
  .bad { color: #ff9aa2; }
  .quiet { color: #a8adb3; }
}
"""


def page(night: Night, link: str = "", most: int | None = None) -> str:
    """Return the page; `link` is the farm's own address, "" where nobody knows it; `most` items of each part."""
    title = escape(headline(night))
    body = [f'<h1 style="font-size:21px;margin:0 0 4px">{title}</h1>', _when(night), _figures(night)]
    for section in sections(night, most):
        body.append(_section(section))
        body += [f"<p>{escape(told)}</p>"] if (told := rest(section, night)) else []
    if night.notes:
        notes = "".join(f"<li>{escape(note)}</li>" for note in night.notes)
        body.append(f'<h2 style="font-size:17px;margin:22px 0 6px">Notes</h2><ul style="padding-left:20px">{notes}</ul>')
    if link:
        body.append(f'<p><a href="{escape(link)}">The farm\'s index</a></p>')
    content = shown("\n".join(body))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="supported-color-schemes" content="light dark">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f'<body style="{_FONT}">\n<main style="max-width:880px;margin:0 auto;padding:20px">\n{content}\n</main>\n</body>\n</html>\n'
    )


def _when(night: Night) -> str:
    told = f"Night {night.id}{', a dry run' if night.dry_run else ''}, begun {night.started}"
    return f'<p class="quiet" style="margin:0 0 14px">{escape(told)}</p>'


def _figures(night: Night) -> str:
    rows = "".join(
        f'<tr><th scope="row" style="{_CELL};font-weight:600">{escape(what)}</th><td style="{_CELL}">{escape(figure)}</td></tr>'
        for what, figure in facts(night)
    )
    return f'<table style="border-collapse:collapse">{rows}</table>'


def _section(section: Section) -> str:
    bad = ' class="bad"' if section.bad else ""
    head = f'<h2{bad} style="font-size:17px;margin:22px 0 6px">{escape(section.title)} ({section.count})</h2>'
    if section.faults:
        told = "".join(f"<li><b>{escape(fault.subject)}</b>: {escape(fault.text)}</li>" for fault in section.faults)
        return f'{head}<ul style="padding-left:20px">{told}</ul>'
    heads = "".join(f'<th scope="col" style="{_CELL};font-weight:600;width:{width}">{text}</th>' for text, width in _COLUMNS)
    rows = "".join(map(_row, section.items))
    table = f'<table style="{_TABLE}"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    return f"{head}{table}"


def _row(item: Item) -> str:
    line = f'<br><code style="{_CODE}">{escape(item.line)}</code>' if item.line else ""
    return (
        f'<tr><td style="{_CELL}"><b>{escape(item.name)}</b> {escape(item.version)}</td>'
        f'<td style="{_CELL}"><code style="{_CODE}">{escape(item.target)}</code></td>'
        f'<td style="{_CELL}">{escape(describe(item))}{line}</td></tr>'
    )

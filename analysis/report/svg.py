"""A figure as SVG inside a page, in the page's own colours."""

from __future__ import annotations

import io
import re

from matplotlib.axes import Axes

from analysis import style

_PAGE_COLOURS = {
    style.INK: "var(--ink)",
    style.MUTED: "var(--muted)",
    style.FAINT: "var(--faint)",
    style.BLUE: "var(--blue)",
    style.SKY: "var(--sky)",
}
_ID = re.compile(r'( id="|url\(#|xlink:href="#)')
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def inline(axes: Axes, name: str, title: str) -> str:
    """The figure as an `<svg>` element that scales with its container.

    Ink, greys and blues become the page's, so that they follow light and dark; text stays text, in the page's font.
    `name` tells the element's ids from those of other figures; `title` is read to who cannot see it.
    """
    file = io.StringIO()
    style.save(axes, file, format="svg", transparent=True, metadata=_NO_METADATA)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    head, _, body = text.partition(">")
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    for colour, variable in _PAGE_COLOURS.items():
        body = body.replace(colour, variable)
    body = re.sub(r"font: ([0-9.]+px)[^;\"]*", r"font-size: \1", body)
    body = _ID.sub(rf"\g<1>{name}-", body)
    return f'{head} role="img" aria-label="{title}">{body}'.strip()

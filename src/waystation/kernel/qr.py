"""QR codes, drawn here: no outside service sees a secret."""

import io

import segno
from markupsafe import Markup


def svg(text: str) -> Markup:
    """Inline SVG, black on white also in dark mode, so that every phone reads it; without style attributes (CSP)."""
    drawn = segno.make(text, error="m").svg_inline(scale=1, border=3, light="#fff", omitsize=True, svgclass=None)
    return Markup(drawn)  # noqa: S704  made by the library from modules, not from the text


def terminal(text: str) -> str:
    """Half-block characters, two rows a line, for a terminal of any colour."""
    out = io.StringIO()
    segno.make(text, error="l").terminal(out, border=2, compact=True)
    return out.getvalue()

"""Untrusted text on the screen: neither markup nor control characters in it have an effect, and it fits in cells.

Whatever comes from a file, a model or a run passes through here before a widget gets it.
"""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from textual.content import Content

from core.i18n import _
from core.plain import plain

# More of one field than anybody reads here; laying out a hundred thousand characters would make every key slow.
_CHARACTERS_SHOWN = 4000


def content(text: str, style: str = "") -> Content:
    """The text as it stands, line feeds kept; the end of a very long one is left out, and that is said."""
    shown = plain(text[:_CHARACTERS_SHOWN], keep_newlines=True)
    if len(text) > _CHARACTERS_SHOWN:
        shown += " " + _("… and {count} more characters").format(count=len(text) - _CHARACTERS_SHOWN)
    return Content.styled(shown, style)


def one_for_one(text: str) -> str:
    """The text with each character that can't be shown replaced by one that can: for an editor, where columns count."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\t" else plain(char)[0].replace("\\", "�") for char in text)


def fit(text: str, cells: int) -> str:
    """The text on one line of exactly `cells` terminal cells: padded, or cut with an ellipsis."""
    shown = plain(text[: 4 * cells])  # combining characters take no cell, so a few more than fit
    if cell_len(shown) > cells > 0:
        shown = set_cell_size(shown, cells - 1).rstrip() + "…"
    return set_cell_size(shown, cells)

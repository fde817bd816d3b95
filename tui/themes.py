"""The app's own colours: ink (dark), paper (light), contrast. `ansi-dark` and `ansi-light` use the terminal's."""

from __future__ import annotations

from textual.theme import Theme

# Textual's own `text-muted` is a share of whatever contrasts most, and text with a style of its own gets all of that.

INK = Theme(
    "ink",
    primary="#7aa2d6",
    secondary="#c9a66b",
    accent="#d98e73",
    success="#8fb573",
    warning="#dcb35c",
    error="#e0716c",
    foreground="#d8d4c8",
    background="#16171a",
    surface="#1c1e22",
    panel="#2a2d33",
    variables={"text-muted": "#a3a19b"},
)
PAPER = Theme(
    "paper",
    primary="#2f5d95",
    secondary="#8a6420",
    accent="#a8452c",
    success="#4a7a2a",
    warning="#96690a",
    error="#b3261e",
    foreground="#26231d",
    background="#faf7ef",
    surface="#f3eee1",
    panel="#e3dcc9",
    dark=False,
    variables={"text-muted": "#625f58"},
)
CONTRAST = Theme(
    "contrast",
    primary="#5cc8ff",
    secondary="#ffd75f",
    accent="#ffaf5f",
    success="#5fff87",
    warning="#ffff5f",
    error="#ff8787",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#303030",
    variables={"text-muted": "#dadada", "text-disabled": "#b0b0b0", "border": "#ffffff"},
)
THEMES = (INK, PAPER, CONTRAST)
OFFERED = ("ink", "paper", "contrast", "ansi-dark", "ansi-light")
"""The themes that the key for the next theme goes through; the palette has Textual's others too."""

"""How long the poems of the shown rows are, as a histogram over the screen."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static

from core.i18n import N_, _
from tui.plain import content
from tui.widgets.dialogs import Dialog
from tui.widgets.histogram import Bin, Histogram

_BINS = 64
_SHOWN_SHARE = 0.995
"""The longest of the rest would press all others into one bar."""


def bins_of(counts: Sequence[tuple[int, int]]) -> tuple[list[Bin], int]:
    """Bins of equal width that hold nearly all, and how many rows are longer than those.

    Args:
        counts: (length, rows), ascending.
    """
    wanted = _SHOWN_SHARE * sum(count for _length, count in counts)
    shown: list[tuple[int, int]] = []
    rows = 0
    for length, count in counts:
        if rows >= wanted:
            break
        shown.append((length, count))
        rows += count
    if not shown:
        return [], 0
    low, high = shown[0][0], shown[-1][0]
    width = -(-(high - low + 1) // _BINS)
    heights = [0] * ((high - low) // width + 1)
    for length, count in shown:
        heights[(length - low) // width] += count
    bins: list[Bin] = [(low + at * width, low + (at + 1) * width, count) for at, count in enumerate(heights)]
    return bins, sum(count for _length, count in counts) - rows


def length_words(counts: Sequence[tuple[int, int]]) -> str:
    """The shortest, the middle one, the longest, and the most frequent lengths, in words."""
    total = sum(count for _length, count in counts)
    if not total:
        return _("No row has a length.")
    seen, median = 0, counts[-1][0]
    for length, count in counts:
        seen += count
        if 2 * seen >= total:
            median = length
            break
    often = sorted(counts, key=lambda pair: (-pair[1], pair[0]))[:4]
    return _("{rows:,} rows, {low} to {high} characters, half of them up to {median}. Most often: {often}").format(
        rows=total,
        low=counts[0][0],
        high=counts[-1][0],
        median=median,
        often=" · ".join(f"{length} ({100 * count / total:.0f} %)" for length, count in often),
    )


class Lengths(Dialog[None]):
    """The histogram."""

    BINDINGS = [Binding("h,q,enter", "close", N_("Close"), id="dialog.close_lengths")]
    DEFAULT_CSS = "Lengths Histogram { height: 12; } Lengths Static { height: auto; }"

    def __init__(self, counts: Sequence[tuple[int, int]]) -> None:
        """Show counts of (length, rows), ascending."""
        super().__init__(_("Lengths in characters, without punctuation"))
        self._counts = counts

    def compose(self) -> ComposeResult:
        """The bars and the sentences."""
        with Vertical():
            yield Histogram()
            yield Static(content(length_words(self._counts), "$text-muted"))
            longer = bins_of(self._counts)[1]
            if longer:
                text = _("{rows:,} longer ones are not in the picture.").format(rows=longer)
                yield Static(content(text, "$text-muted"))

    def on_mount(self) -> None:
        """Draw."""
        super().on_mount()
        self.query_one(Histogram).show(bins_of(self._counts)[0])

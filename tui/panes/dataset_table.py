"""The columns of the list of rows: which of them there is room for, and what a row has in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from rich.cells import cell_len

from core.data.row import BadRow, Row
from core.i18n import N_, _
from tui.widgets.row_list import Cells

LOSS = "loss"
"""The order by the base's loss; a column of that name in a file gives no order."""
ORDERS = {
    "number": N_("as in the file"),
    "author": N_("author"),
    "title": N_("title"),
    "form": N_("form"),
    "length": N_("length"),
    "text": N_("text"),
    LOSS: N_("loss"),
}
"""What rows can be sorted by, as far as they have it."""
_ALWAYS = ("number", "length", "text")
_MARK_CELLS = 2
_LEAST_TEXT_CELLS = 12
_LENGTH_CELLS = 4
_ROOMY_CELLS, _WIDE_CELLS = 62, 84
_LOSS_CELLS = 5
_FIGURES = ("number", "length", LOSS)
_TITLES = {
    "number": N_("no."),
    "author": N_("author"),
    "title": N_("title"),
    "form": N_("form"),
    "length": N_("len"),
    LOSS: N_("loss"),
    "text": N_("text"),
}
"""What stands above the columns."""
_UP, _DOWN = "↑", "↓"


def order_names(columns: Sequence[str], *, with_loss: bool) -> list[str]:
    """Those of `ORDERS` that rows with these columns can be sorted by."""
    return [name for name in ORDERS if (with_loss if name == LOSS else name in (*_ALWAYS, *columns))]


class Column(NamedTuple):
    """A column of the list."""

    name: str
    """`number`, `length`, `loss`, `text`, or the file's name of it."""
    cells: int
    """Terminal cells."""


@lru_cache(maxsize=8)
def columns_for(names: tuple[str, ...], count: int, width: int, *, with_loss: bool = False) -> tuple[Column, ...]:
    """Those that the file has and there is room for, in the order in which they stand.

    Args:
        names: the file's columns.
        count: how many rows there are.
        width: cells of the list.
        with_loss: whether rows have a loss.
    """
    number = Column("number", max(3, len(str(max(0, count - 1)))))
    length = Column("length", _LENGTH_CELLS)
    text = Column("text", _LEAST_TEXT_CELLS)
    chosen = [number, length, *([Column(LOSS, _LOSS_CELLS)] if with_loss else []), text]
    figures = len(chosen) - 1
    title_cells = 22 if width >= _WIDE_CELLS else 16 if width >= _ROOMY_CELLS else 12
    for column, at, least_width in (
        (Column("author", 8 if width >= _ROOMY_CELLS else 6), 1, 0),
        (Column("title", title_cells), 2, 0),
        (Column("form", 4), 3, _ROOMY_CELLS),
    ):
        if width >= least_width and column.name in names and _cells(chosen) + column.cells < width:
            chosen.insert(min(at, len(chosen) - figures), column)
    left = max(0, width - _cells(chosen))
    chosen[-1] = Column("text", _LEAST_TEXT_CELLS + left)
    return tuple(chosen)


def _cells(columns: Sequence[Column]) -> int:
    return _MARK_CELLS + sum(column.cells + 1 for column in columns)


def head_cells(columns: Sequence[Column], sorted_by: str, *, descending: bool) -> Cells:
    """The titles, an arrow at the one that the rows are sorted by."""
    arrow = _DOWN if descending else _UP
    titles = (arrow * (column.name == sorted_by) + _(_TITLES[column.name]) for column in columns)
    return tuple(
        (" " * (column.cells - cell_len(title)) + title if column.name in _FIGURES else title, column.cells)
        for title, column in zip(titles, columns, strict=True)
    )


def row_cells(row: Row | BadRow, columns: Sequence[Column], look: str = "", loss: float | None = None) -> Cells:
    """What a row has in the columns; one that can't be used has its problem in the place of all but its number.

    Args:
        row: the row.
        columns: see `columns_for`; none while there is no room.
        look: of its number, where a review found something; see `Cell`.
        loss: the base's, in nats a token; None: there is none.
    """
    if not columns:
        return ()
    number = columns[0]
    first = (str(row.number).rjust(number.cells), number.cells, look or "muted")
    if isinstance(row, BadRow):
        return first, (row.problem, sum(column.cells + 1 for column in columns[1:]), "problem")
    return first, *_row_cells(row, columns[1:], loss)


def _row_cells(row: Row, columns: Sequence[Column], loss: float | None) -> Iterator[tuple[str, int, str]]:
    from core.data.search import length_of

    for column in columns:
        if column.name == "length":
            yield str(length_of(row)).rjust(column.cells), column.cells, "muted"
        elif column.name == LOSS:
            yield ("" if loss is None else f"{loss:.2f}").rjust(column.cells), column.cells, "muted"
        elif column.name == "text":
            yield row.input[: column.cells] + row.output[: column.cells], column.cells, ""
        else:
            yield row.extra.get(column.name, ""), column.cells, "muted" if column.name == "form" else ""

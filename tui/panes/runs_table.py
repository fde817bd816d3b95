"""The table of runs: which there are to see, in which order, in which columns. It reads nothing and knows no widget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from core.i18n import N_, _
from core.plain import plain
from core.runs.view import STATUSES
from core.runs.wording import duration, loss_words
from tui.widgets.row_list import Cell
from tui.wording import short_id
from tui.workbench import RunSeen

if TYPE_CHECKING:
    from core.runs.facts import Origin

MOST_MARKED = 4
_MARK_CELLS, _SCROLLBAR_CELLS = 2, 1
_LONGEST_CELLS, _SHORT_NAME_CELLS, _LEAST_NAME_CELLS = 28, 16, 4
_LOOKS = {
    "running": "good", "finished": "", "failed": "problem", "died": "problem", "unreadable": "problem",
    "queued": "muted", "stopped": "muted",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run stands in the line for its device."""

    number: int
    """From 1, the next."""
    attended: bool = True
    """Whether a living process waits there."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A run as the table has it."""

    seen: RunSeen
    """Itself."""
    base: str = ""
    """The last part of its base model's name, untrusted; empty: not known."""
    data: str = ""
    """The last part of its data file's name, untrusted; empty: not known."""
    place: Place | None = None
    """Its place in the line for its device; None: it isn't in it."""
    mark: int = 0
    """The number it has been marked with for a comparison; 0: it isn't."""

    @property
    def kind(self) -> str:
        """Its status, or unreadable."""
        return "unreadable" if self.seen.problem else self.seen.view.status

    @property
    def state(self) -> str:
        """The same in words."""
        if self.seen.problem:
            return _("unreadable")
        return f"{self.seen.status} {self.place.number}" if self.place else self.seen.status

    @property
    def best_loss(self) -> float | None:
        """The lowest held-out loss after at least one step; None: not known."""
        known = [loss for step, loss in self.seen.view.evals if step > 0]
        known += [loss for loss in (self.seen.view.eval_loss,) if loss is not None]
        return min((loss for loss in known if loss == loss), default=None)


@dataclass(frozen=True, slots=True)
class Order:
    """A way to sort runs."""

    name: str
    """What the app remembers it by."""
    title: str
    """What a person reads, marked for translation."""
    column: str
    """The column that shows it."""
    key: Callable[[Listed], Any] | None = None
    """Sorts ascending; None: newest first, as they come."""


ORDERS = (
    Order("newest", N_("newest first"), "started"),
    Order("name", N_("name"), "run", lambda run: short_id(run.seen.id)),
    Order("state", N_("state: those at work first"), "state", lambda run: _rank(run)),
    Order("loss", N_("lowest held-out loss"), "held-out", lambda run: inf if run.best_loss is None else run.best_loss),
    Order("train", N_("lowest training loss"), "train", lambda run: _or_last(run.seen.view.smoothed_loss)),
    Order("time", N_("longest time worked"), "time", lambda run: -run.seen.view.worked_s),
    Order("base", N_("base model"), "base", lambda run: (not run.base, run.base)),
    Order("data", N_("data file"), "data", lambda run: (not run.data, run.data)),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person wants to see of the runs."""

    query: str = ""
    """Words that all stand in a run's id, state, base or data; empty: every run."""
    order: str = "newest"
    """The name of one of `ORDERS`."""

    @property
    def sorting(self) -> Order:
        """The order; an unknown name is the usual one."""
        return next((order for order in ORDERS if order.name == self.order), ORDERS[0])


def list_runs_wanted(
    runs: Sequence[RunSeen],
    wanted: Wanted,
    *,
    origins: Mapping[str, Origin],
    places: Mapping[str, Place],
    marked: Sequence[str],
) -> list[Listed]:
    """The runs to show: those that hold every word, sorted; those that are equal stay newest first.

    Args:
        runs: all of them, newest first.
        wanted: the words and the order.
        origins: what each id was made from, where that is known.
        places: the place of each id in the queue.
        marked: ids that are marked, in the order of marking.
    """
    listed = []
    for seen in runs:
        origin = origins.get(seen.id)
        base, data = (origin.base_name, origin.data_name) if origin else (seen.view.base.rpartition(":")[2], "")
        mark = marked.index(seen.id) + 1 if seen.id in marked else 0
        place = places.get(seen.id) if seen.view.status == "queued" else None
        run = Listed(seen, base, data, place, mark)
        text = "\n".join((seen.id, run.state, run.kind, base, data)).casefold()
        if all(word in text for word in wanted.query.casefold().split()):
            listed.append(run)
    key = wanted.sorting.key
    return sorted(listed, key=key) if key else listed


def _rank(run: Listed) -> int:
    kinds = ("running", "paused", "starting", "queued", "unreadable", "failed", "died")
    return kinds.index(run.kind) if run.kind in kinds else len(kinds) + STATUSES.index(run.kind)


def _or_last(loss: float | None) -> float:
    return inf if loss is None or loss != loss else loss


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table."""

    name: str
    """What `Order.column` calls it."""
    title: str
    """Its head, marked for translation."""
    text: Callable[[Listed], str]
    """What it shows of a run, untrusted."""
    rank: int
    """Those of a higher rank go first where there is no room."""
    is_number: bool = False
    """Whether it is set flush right."""
    look: Callable[[Listed], str] = field(default=lambda _run: "")
    """How a `RowList` shows the cell."""


def _started(run: Listed) -> str:
    stamp = run.seen.id[:15]  # YYYYMMDD-HHMMSS
    return f"{stamp[4:6]}-{stamp[6:8]} {stamp[9:11]}:{stamp[11:13]}"


def _steps(run: Listed) -> str:
    view = run.seen.view
    return f"{view.step}/{view.steps}" if view.steps else "-"


def _held_out(run: Listed) -> str:
    before, best = run.seen.view.eval_loss_base, run.best_loss
    return "-" if before is None and best is None else f"{loss_words(before)} → {loss_words(best)}"


def _train(run: Listed) -> str:
    loss = run.seen.view.smoothed_loss
    return "-" if loss is None else f"{loss:.3f}"


def _time(run: Listed) -> str:
    view = run.seen.view
    if view.eta_s is not None:
        return _("{time} left").format(time=duration(view.eta_s))
    return duration(view.worked_s) if view.worked_s else "-"


COLUMNS = (
    Column("mark", "", lambda run: str(run.mark or ""), 0),
    Column("run", N_("run"), lambda run: short_id(run.seen.id), 0),
    Column("started", N_("started"), _started, 4, look=lambda _run: "muted"),
    Column("state", N_("state"), lambda run: run.state, 1, look=lambda run: _LOOKS.get(run.kind, "")),
    Column("steps", N_("steps"), _steps, 2, is_number=True),
    Column("train", N_("training"), _train, 5, is_number=True),
    Column("held-out", N_("held-out"), _held_out, 3, is_number=True),
    Column("time", N_("time"), _time, 6, is_number=True),
    Column("base", N_("base"), lambda run: run.base or "-", 7),
    Column("data", N_("data"), lambda run: run.data or "-", 8),
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table that fits a width."""

    columns: tuple[tuple[Column, int], ...]
    """Its columns with their cells."""
    order: Order = ORDERS[0]
    """The order, shown at its column."""

    def head(self) -> list[Cell]:
        """The line over it."""
        return [self._cell(column, cells, self._title(column)) for column, cells in self.columns]

    def line(self, run: Listed) -> list[Cell]:
        """The line of a run."""
        return [(*self._cell(column, cells, column.text(run)), column.look(run)) for column, cells in self.columns]

    def _title(self, column: Column) -> str:
        return head_of(column, self.order)

    def _cell(self, column: Column, cells: int, text: str) -> tuple[str, int]:
        gap = cells - cell_len(text)
        return (" " * gap + text if column.is_number and gap > 0 else text), cells


def head_of(column: Column, order: Order) -> str:
    """The column's head; a mark tells that the runs are sorted by it."""
    title = _(column.title) if column.title else ""
    return f"{title}▾" if order.column == column.name else title


def fit_table(runs: Sequence[Listed], order: Order, width: int) -> Table:
    """As many columns as fit, each as wide as what is in it.

    Args:
        runs: what is shown.
        order: how it is sorted.
        width: cells of the list.
    """
    wanted = {
        column.name: min(_LONGEST_CELLS, max(cell_len(head_of(column, order)), *_widths(column, runs)))
        for column in COLUMNS
    }
    wanted["mark"] = 1
    name_cells = max(_LEAST_NAME_CELLS, wanted["run"])
    wanted["run"] = min(_SHORT_NAME_CELLS, name_cells)
    room = width - _MARK_CELLS - _SCROLLBAR_CELLS
    kept: list[Column] = []
    for column in sorted(COLUMNS, key=lambda column: 0 if column.name == order.column else column.rank):
        if not column.rank or sum(wanted[other.name] + 1 for other in kept) + wanted[column.name] <= room:
            kept.append(column)
    left = room - sum(wanted[column.name] + 1 for column in kept) + 1
    longer = min(left, name_cells - wanted["run"])  # less than nothing in a very narrow list
    wanted["run"] = max(_LEAST_NAME_CELLS, wanted["run"] + longer)
    left -= longer
    for column in kept:
        if left > 0 and column.name != "mark":
            wanted[column.name] += 1  # twice as far apart, as far as that goes
            left -= 1
    return Table(tuple((column, wanted[column.name]) for column in COLUMNS if column in kept), order)


def _widths(column: Column, runs: Sequence[Listed]) -> list[int]:
    return [0, *(cell_len(plain(column.text(run)[:200])) for run in runs)]

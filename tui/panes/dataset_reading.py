"""Opens a data file, finds rows in it and writes them out, in threads beside the screen's work. It shows nothing."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from textual import on, work
from textual.message import Message
from textual.worker import get_current_worker

from core.errors import PoemError
from core.i18n import _
from tui.pane import Pane
from tui.panes.dataset_findings import RowFindings, Selection, chosen
from tui.panes.dataset_table import LOSS

if TYPE_CHECKING:
    from core.data.browse import Rows
    from core.data.search import Finder

_MANY_ROWS = 5_000
_PAINTED_S = 0.3
_TELL_S = 0.25
"""What grows is told no more often than this."""


class View(NamedTuple):
    """Which rows are wanted, and in which order."""

    query: str = ""
    """As it was typed; blank: every row."""
    sort: str = "number"
    """What they are sorted by: number, length, text, loss or a column."""
    descending: bool = False
    """Whether the last come first."""
    among: tuple[Selection, ...] = ()
    """What a review found of the rows: they are in each of these."""

    @property
    def in_file_order(self) -> bool:
        """Whether the rows stand as in the file."""
        return self.sort == "number" and not self.descending

    @property
    def is_whole(self) -> bool:
        """Whether it is the file as it stands."""
        return not self.query.strip() and not self.among and self.in_file_order


class OpenFile(NamedTuple):
    """A file that is open."""

    rows: Rows
    """Its rows, of which some may still be coming."""
    finder: Finder
    """What searches them; one thread at a time."""
    lock: Lock
    """Held by the thread that does."""


class Unreadable(NamedTuple):
    """A file that can't be opened."""

    problem: PoemError
    """Why."""
    examples: Mapping[str, str]
    """Where only the columns are the matter: each with something that it holds. Else empty."""


class ReadingPane(Pane):
    """A pane with a data file; what it does with it, a subclass says in the methods that do nothing here."""

    @dataclass(eq=False, repr=False)
    class Opened(Message):
        """A file is open, or can't be."""

        serial: int
        result: OpenFile | Unreadable

    @dataclass(eq=False, repr=False)
    class Grown(Message):
        """Further rows are known."""

        serial: int

        def can_replace(self, message: Message) -> bool:
            """The last of several says it all."""
            return isinstance(message, ReadingPane.Grown)

    @dataclass(eq=False, repr=False)
    class Found(Message):
        """Rows of a view, perhaps not all of them yet."""

        serial: int
        view: View
        order: Sequence[int]
        problem: str
        done: bool

    @dataclass(eq=False, repr=False)
    class Counted(Message):
        """How many rows of the view have each length."""

        counts: Sequence[tuple[int, int]]

    @dataclass(eq=False, repr=False)
    class Exported(Message):
        """Rows were written, or couldn't be."""

        path: Path
        result: int | PoemError

    def __init__(self, *, id: str) -> None:
        """No file yet."""
        super().__init__(id=id)
        self.file: OpenFile | None = None
        self.view = View()
        """What is shown."""
        self.wanted = View()
        """What has been asked for last."""
        self.order: Sequence[int] = ()
        """Numbers of the rows of the view, in its order."""
        self.found_all = True
        """Whether that is all of them."""
        self.findings: RowFindings | None = None
        """What a review found of the rows."""
        self._opening = self._finding = self._shown = 0

    def file_opened(self) -> None:
        """The file is open."""

    def file_failed(self, failure: Unreadable) -> None:
        """The file can't be read."""

    def rows_came(self) -> None:
        """Further rows of the file are known, or that these are all."""

    def rows_found(self, problem: str, *, more: bool) -> None:
        """`order` is what `view` asks for, so far; a part of the query may mean nothing yet.

        Args:
            problem: what is wrong with the query, or nothing.
            more: whether only further rows have come at the end.
        """

    def read_file(self, path: str, columns: Mapping[str, str] | None) -> None:
        """Open a file; what was open is let go."""
        self._opening += 1
        self._finding += 1
        self.file, self.order, self.found_all = None, (), True
        self._open(self._opening, path, columns)

    @work(thread=True, exclusive=True, group="open", exit_on_error=False)
    def _open(self, serial: int, path: str, columns: Mapping[str, str] | None) -> None:
        from core.data.browse import open_rows
        from core.data.search import SORTABLE_ROWS, Finder, Query

        worker = get_current_worker()
        try:
            rows = open_rows(path, columns)
            file = OpenFile(rows, Finder(rows), Lock())
            self.post_message(self.Opened(serial, file))
            self._index(serial, rows, lambda: not worker.is_cancelled)
        except PoemError as error:
            self.post_message(self.Opened(serial, Unreadable(error, _examples(path, columns))))
            return
        if rows.count <= SORTABLE_ROWS:  # so that the first key of a search is as quick as the second
            if rows.count > _MANY_ROWS:
                time.sleep(_PAINTED_S)  # two threads at work take turns, and the rows shan't be painted the later
            with file.lock:
                for _piece in file.finder.search(Query(), lambda: not worker.is_cancelled):
                    pass
        gc.freeze()  # a file's rows stay: looking for garbage among them would hold up a key for a tenth of a second

    def _index(self, serial: int, rows: Rows, go_on: Callable[[], bool]) -> None:
        if rows.complete:
            return
        told_s = time.monotonic()

        def tell() -> bool:
            nonlocal told_s
            if time.monotonic() - told_s >= _TELL_S:
                told_s = time.monotonic()
                self.post_message(self.Grown(serial))
            return go_on()

        rows.index(tell)
        self.post_message(self.Grown(serial))

    @on(Opened)
    def _opened(self, event: Opened) -> None:
        if event.serial != self._opening:
            return
        if isinstance(event.result, Unreadable):
            self.file, self.order = None, ()  # its first rows may have been shown
            self.file_failed(event.result)
            return
        self.file = event.result
        self.file_opened()

    @on(Grown)
    def _grown(self, event: Grown) -> None:
        if event.serial == self._opening and self.file is not None:
            self.rows_came()

    def find(self, view: View) -> None:
        """Find the rows of another view."""
        self.wanted = view
        file = self.file
        if file is None:
            return
        self._finding += 1
        # A few milliseconds of work are shown sooner than a thread could begin with it.
        if file.finder.is_quick and view.in_file_order and file.lock.acquire(blocking=False):
            try:
                *_pieces, (order, problem, _done) = found(file, view, lambda: True, self._losses)
            finally:
                file.lock.release()
            self._rows_found(self.Found(self._finding, view, order, problem, done=True))
        else:
            self._find(self._finding, file, view)

    @work(thread=True, exclusive=True, group="find", exit_on_error=False)
    def _find(self, serial: int, file: OpenFile, view: View) -> None:
        worker = get_current_worker()
        told_s = time.monotonic()
        with file.lock:  # whoever had it was cancelled, and lets go soon
            for order, problem, done in found(file, view, lambda: not worker.is_cancelled, self._losses):
                if worker.is_cancelled:
                    return
                if done or time.monotonic() - told_s >= _TELL_S:
                    told_s = time.monotonic()
                    self.post_message(self.Found(serial, view, order if done else order[:], problem, done))

    @property
    def _losses(self) -> Mapping[int, float]:
        return self.findings.losses if self.findings else {}

    @on(Found)
    def _rows_found(self, event: Found) -> None:
        if event.serial == self._finding:
            more, self._shown = event.serial == self._shown, event.serial
            self.view, self.order, self.found_all = event.view, event.order, event.done
            self.rows_found(event.problem, more=more)

    def lengths_counted(self, counts: Sequence[tuple[int, int]]) -> None:
        """The lengths of the rows of the view: (length, rows), ascending."""

    @work(thread=True, exclusive=True, group="find", exit_on_error=False)
    def count_lengths(self) -> None:
        """Count how long the rows of the view are."""
        file, order = self.file, self.order
        if file is not None:
            with file.lock:
                lengths = file.finder.lengths(order)
            self.post_message(self.Counted(tuple((length, count) for length, _same, count in lengths)))

    @on(Counted)
    def _counted(self, event: Counted) -> None:
        self.lengths_counted(event.counts)

    @work(thread=True, exit_on_error=False)
    def export(self, path: Path, *, overwrite: bool) -> None:
        """Write the rows of the view to a JSONL file."""
        from core.data.browse import export_rows

        file, order = self.file, self.order
        if file is None:
            return
        try:
            result: int | PoemError = export_rows(file.rows, list(order), path, overwrite=overwrite)
        except PoemError as error:
            result = error
        self.post_message(self.Exported(path, result))


def first_rows(file: OpenFile, query: str, most: int) -> Iterator[int]:
    """Numbers of the first rows that hold the words of a query, at once: none of a large or busy file."""
    from core.data.search import SORTABLE_ROWS, parse_query

    number = int(query) if query.isdecimal() else -1
    if 0 <= number < file.rows.count:
        yield number
    wanted = parse_query(query, file.rows.columns)
    if wanted.finds_all or file.rows.count > SORTABLE_ROWS or not file.lock.acquire(blocking=False):
        return
    try:
        for order in file.finder.search(wanted, lambda: True):
            if len(order) >= most:
                break
        yield from order[:most]
    finally:
        file.lock.release()


def found(
    file: OpenFile, view: View, go_on: Callable[[], bool], losses: Mapping[int, float]
) -> Iterator[tuple[Sequence[int], str, bool]]:
    """What a view shows of a file: growing pieces, what is wrong with the query, and whether that is all.

    Args:
        file: the file.
        view: what is wanted of it.
        go_on: asked between pieces; where it says no, the last one is missing rows.
        losses: row → the base's loss, for the order by it; rows that have none come before all others.
    """
    from core.data.search import parse_query

    rows = file.rows
    query = parse_query(view.query, rows.columns)
    order: Sequence[int] = range(rows.count)
    if not query.finds_all:
        for order in file.finder.search(query, go_on):
            if view.in_file_order:
                yield chosen(view.among, order, rows.count), query.problem, False
    order = chosen(view.among, order, rows.count)
    problem = query.problem
    if rows.is_changed:
        problem = _("The file has changed since it was opened: o opens it again.")
    if view.sort == "number":
        order = order[::-1] if view.descending else order
    elif view.sort == LOSS:
        order = sorted(order, key=lambda number: losses.get(number, -1.0), reverse=view.descending)
    elif go_on():
        by = view.sort if view.sort != "text" else "input" if "input" in rows.mapping else "output"
        try:
            order = file.finder.sort(order, by, backwards=view.descending)
        except PoemError as error:
            problem = str(error)
    yield order, problem, True


def _examples(path: str, columns: Mapping[str, str] | None) -> Mapping[str, str]:
    """The columns of a file, where they are why it can't be opened; else none."""
    from core.data.column_examples import column_examples
    from core.data.columns import choose_columns

    try:
        examples = column_examples(path)
    except PoemError:
        return {}
    try:
        choose_columns(tuple(examples), columns, Path(path), text_columns=())
    except PoemError:
        return examples
    return {}

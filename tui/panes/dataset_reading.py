"""Opens a data file, finds rows in it and writes them out, in threads beside the screen's work. It shows nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from textual import on, work
from textual.message import Message
from textual.worker import get_current_worker

from core.errors import PoemError
from tui.pane import Pane
from tui.panes.dataset_book import Book, open_book


@dataclass(frozen=True, slots=True)
class View:
    """Which rows are wanted, and in which order."""

    query: str = ""
    """As it was typed; blank: every row."""
    sort: str = "number"
    """What they are sorted by."""
    descending: bool = False
    """Whether the last come first."""

    @property
    def is_whole(self) -> bool:
        """Whether it is the file as it stands."""
        return not self.query.strip() and self.sort == "number" and not self.descending


class ReadingPane(Pane):
    """A pane with a data file; what it does with it, a subclass says in the methods that do nothing here."""

    @dataclass
    class Opened(Message):
        """The file is open, or can't be."""

        serial: int
        result: Book | PoemError

    @dataclass
    class Found(Message):
        """The rows of a view were found, or it asks for what can't be."""

        serial: int
        view: View
        result: Sequence[int] | PoemError

    @dataclass
    class Exported(Message):
        """Rows were written."""

        path: Path
        rows: int

    def __init__(self, *, id: str) -> None:
        """No file yet."""
        super().__init__(id=id)
        self.book: Book | None = None
        self.view = View()
        self.order: Sequence[int] = ()
        """Numbers of the rows of the view, in its order."""
        self._opening = self._finding = 0

    def file_opened(self, book: Book) -> None:
        """The file is open; its rows may still be coming."""

    def file_failed(self, problem: PoemError) -> None:
        """The file can't be read."""

    def rows_found(self, problem: PoemError | None) -> None:
        """`order` is what `view` asked for; where that has a problem, it is what it was."""

    def rows_written(self, path: Path, rows: int) -> None:
        """An export is on the disk."""

    def read_file(self, path: str, columns: Mapping[str, str] | None) -> None:
        """Open a file; what was open is let go."""
        self._opening += 1
        self._finding += 1
        self.book, self.order = None, ()
        self._open(self._opening, path, columns)

    @work(thread=True, exclusive=True, group="open", exit_on_error=False)
    def _open(self, serial: int, path: str, columns: Mapping[str, str] | None) -> None:
        try:
            result: Book | PoemError = open_book(path, columns)
        except PoemError as error:
            result = error
        if not get_current_worker().is_cancelled:
            self.post_message(self.Opened(serial, result))

    @on(Opened)
    def _opened(self, event: Opened) -> None:
        if event.serial != self._opening:
            return
        if isinstance(event.result, PoemError):
            self.file_failed(event.result)
            return
        self.book = event.result
        self.file_opened(event.result)

    def find(self, view: View) -> None:
        """Find the rows of another view."""
        if self.book is not None:
            self._finding += 1
            self._find(self._finding, self.book, view)

    @work(thread=True, exclusive=True, group="find", exit_on_error=False)
    def _find(self, serial: int, book: Book, view: View) -> None:
        try:
            result: Sequence[int] | PoemError = book.search(view.query)
        except PoemError as error:
            result = error
        if not get_current_worker().is_cancelled:
            self.post_message(self.Found(serial, view, result))

    @on(Found)
    def _rows_found(self, event: Found) -> None:
        if event.serial != self._finding:
            return
        if isinstance(event.result, PoemError):
            self.rows_found(event.result)
        else:
            self.view, self.order = event.view, event.result
            self.rows_found(None)

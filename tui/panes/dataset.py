"""The Data pane: every row of a file in a list, a search in it, and the row under the cursor laid out as verse.

It reads and shows; what a row becomes in training is not its matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from core.data.rows import Row, RowFile, read_rows
from core.errors import PoemError
from core.i18n import N_, _
from tui.pane import Pane
from tui.plain import content
from tui.widgets.row_list import Cells, RowList

_SENTENCE = re.compile(r"[^。！？；\n]*[。！？；]+[」』”’）]*|[^。！？；\n]+")


def verse_lines(text: str) -> Iterator[str]:
    """The text's sentences, in verse the couplets, each for a line of its own."""
    return (line for sentence in _SENTENCE.findall(text) if (line := sentence.strip()))


class DatasetPane(Pane):
    """Rows, search and poem."""

    TITLE: ClassVar[str] = N_("Data")
    FOCUS_FIRST: ClassVar[str] = "#rows"

    @dataclass
    class FileRead(Message):
        """The file was read, or can't be; of each row all its text, casefolded."""

        result: RowFile | PoemError
        haystacks: tuple[str, ...]

    def __init__(self, file: str, *, id: str) -> None:
        """The pane of a file: a path or `builtin:NAME`."""
        super().__init__(id=id)
        self._file = file
        self._rows: tuple[Row, ...] = ()
        self._haystacks: tuple[str, ...] = ()
        self._found: list[Row] = []

    def compose(self) -> ComposeResult:
        """A line about the file, the search, the list and the poem."""
        yield Static(_("Reading …"), id="data-head", classes="head")
        search = Input(placeholder=_("words that a row holds; Esc ends the search"), id="search")
        search.cursor_blink = search.display = False
        yield search
        with Container(classes="body"):
            yield RowList(id="rows")
            with VerticalScroll(classes="detail"):
                yield Static(id="poem")

    def on_mount(self) -> None:
        """Start reading."""
        self._read_file()

    @work(thread=True, exclusive=True)
    def _read_file(self) -> None:
        try:
            file = read_rows(self._file)
        except PoemError as error:
            self.post_message(self.FileRead(error, ()))
            return
        texts = ("\n".join((row.instruction, row.input, row.output, *row.extra.values())) for row in file.rows)
        self.post_message(self.FileRead(file, tuple(text.casefold() for text in texts)))

    @on(FileRead)
    def _show_file(self, event: FileRead) -> None:
        if isinstance(event.result, PoemError):
            self.add_class("-error")
            self.query_one("#data-head", Static).update(content(str(event.result)))
            return
        self._rows, self._haystacks = event.result.rows, event.haystacks
        self.search(self.query_one(Input).value)

    def action_search(self) -> None:
        """Open the search."""
        search = self.query_one(Input)
        search.display = True
        self.screen.set_focus(search)  # at once: `focus` would wait, and the next key go astray

    def action_end_search(self) -> None:
        """Close the search and show every row."""
        search = self.query_one(Input)
        search.value, search.display = "", False
        self.query_one(RowList).focus()

    @on(Input.Changed)
    def _search_typed(self, event: Input.Changed) -> None:
        self.search(event.value)

    @on(Input.Submitted)
    def _go_to_found(self) -> None:
        self.query_one(RowList).focus()

    def open(self, path: str) -> None:
        """Open another file."""
        self._file = path
        self._read_file()

    def find_rows(self, query: str, most: int) -> Iterator[tuple[int, str]]:
        """Number and text of the first rows that hold it, for the palette."""
        return iter(())

    def go_to_row(self, number: int) -> None:
        """Put the cursor on a row."""

    def search(self, wanted: str) -> None:
        """Show the rows that hold every word of `wanted`; all of them where it is blank."""
        if not self._rows:
            return
        words = wanted.casefold().split()
        pairs = zip(self._rows, self._haystacks, strict=True)
        self._found = [row for row, text in pairs if all(word in text for word in words)]
        numbers = {"found": len(self._found), "count": len(self._rows), "name": self._file}
        head = _("{name}: {found} of {count} rows") if words else _("{name}: {count} rows")
        self.query_one("#data-head", Static).update(content(head.format(**numbers)))
        self.query_one(RowList).show(len(self._found), self._cells)

    def _cells(self, index: int) -> Cells:
        row = self._found[index]
        number = (str(row.number).rjust(len(str(self._rows[-1].number))), len(str(self._rows[-1].number)))
        named = [(row.extra[name], cells) for name, cells in (("author", 8), ("title", 20)) if name in row.extra]
        return (number, *named, (row.input[:200] + row.output[:200], 200))

    @on(RowList.CursorMoved)
    def _show_poem(self) -> None:
        index = self.query_one(RowList).cursor
        self.query_one("#poem", Static).update(
            content(_("No row holds that.")) if index is None else poem_content(self._found[index])
        )
        self.query_one(VerticalScroll).scroll_home(animate=False)


def poem_content(row: Row) -> Content:
    """Title, author, the couplets (what the model is given in bold) and, below, everything else the row holds."""
    parts = [
        content(row.extra[name], style) for name, style in (("title", "bold"), ("author", "")) if row.extra.get(name)
    ]
    parts += [content("")] if parts else []
    parts += [content("\n".join(verse_lines(row.input)), "bold")] if row.input.strip() else []
    parts += [content("\n".join(verse_lines(row.output))), content("")]
    parts.append(content(_("row {number}").format(number=row.number), "dim"))
    parts += [
        content(f"{name}: {value}", "dim")
        for name, value in (("instruction", row.instruction), *row.extra.items())
        if value and name not in ("title", "author")
    ]
    return Content("\n").join(parts)

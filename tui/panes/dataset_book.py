"""Stand-in until core.data.browse exists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.data.rows import BadRow, Row, read_rows


@dataclass
class Book:
    path: str
    columns: tuple[str, ...]
    mapping: Mapping[str, str]
    rows: list[Row | BadRow]
    complete: bool = True

    def __post_init__(self) -> None:
        self.hay: list[str] | None = None

    @property
    def count(self) -> int:
        return len(self.rows)

    def row(self, number: int) -> Row | BadRow:
        return self.rows[number]

    def search(self, query: str) -> Sequence[int]:
        if not query.strip():
            return range(self.count)
        if self.hay is None:
            self.hay = [
                "\n".join((r.instruction, r.input, r.output, *r.extra.values())).casefold() if isinstance(r, Row) else r.problem
                for r in self.rows
            ]
        words = query.casefold().split()
        return [i for i, text in enumerate(self.hay) if all(w in text for w in words)]


def open_book(path: str, columns: Mapping[str, str] | None) -> Book:
    file = read_rows(path, columns=columns, on_bad_row="skip")
    rows: list[Row | BadRow] = sorted((*file.rows, *file.bad_rows), key=lambda r: r.number)
    return Book(path, file.columns, file.mapping, rows)

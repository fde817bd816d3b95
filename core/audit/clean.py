"""A copy of a data file without some of its rows. The file itself is never changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from core.data.records import suffix_format
from core.data.rows import RowFile
from core.data.written import write_new, written_rows
from core.errors import PoemError
from core.i18n import _
from core.plain import plain


def check_clean_name(target: Path) -> None:
    """Refuse a name that promises another format.

    Raises:
        PoemError: it ends in neither .json nor .jsonl.
    """
    if suffix_format(target) not in ("json", "jsonl") or target.suffix.lower() == ".gz":
        raise PoemError(
            _("a cleaned file is JSON or JSONL"),
            hint=_("Choose a name that ends in .json or .jsonl."),
            where=plain(str(target)),
        )


def write_clean(file: RowFile, numbers: Collection[int], target: Path) -> int:
    """Write the file's rows but for some, with the columns and values that they have there; all of it, or nothing.

    Args:
        file: where the rows are; rows that can't be used are left out anyway.
        numbers: of the rows to leave out.
        target: the file to make: a JSON array where its name ends in .json, else JSONL.

    Returns:
        how many rows were written.

    Raises:
        PoemError: there is such a file already, its name promises another format, no row is left, it can't be written,
            or the rows' own file has changed.
    """
    check_clean_name(target)
    kept = [row.number for row in file.rows if row.number not in numbers]
    if not kept:
        raise PoemError(_("no row is left to write"), hint=_("Leave fewer rows out."), where=plain(str(target)))
    texts = written_rows(file.path, file.sha256, kept)
    write_new(target, _array(texts) if suffix_format(target) == "json" else (text + "\n" for text in texts))
    return len(kept)


def _array(texts: Iterator[str]) -> Iterator[str]:
    before = "[\n"
    for text in texts:
        yield f"{before}{text}"
        before = ",\n"
    yield "\n]\n"

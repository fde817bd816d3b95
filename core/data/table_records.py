"""CSV and TSV text with a header line → records. The csv module reads; what it can't read is told with its line.

It must not know which columns matter.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from core.data.records import Flaw, Records, quoted_names, suffix_format
from core.errors import PoemError
from core.i18n import _


def _table_format(text: str, path: Path) -> str:
    """Which of the two the header line shows; the file's name decides where it shows neither or both."""
    header = text.lstrip("\r\n").split("\n", 1)[0]
    tabs, commas = header.count("\t"), header.count(",")
    named = suffix_format(path)
    if named in ("json", "jsonl") or (named is None and not tabs and not commas):
        raise PoemError(
            _("this is neither JSON nor a table: it starts with {start}").format(start=quoted_names([header])),
            hint=_("A data file is a JSON list of objects, JSONL, or CSV/TSV with a header line."),
            where=_("{path}, line {line}").format(path=path, line=1),
        )
    if named in ("csv", "tsv") and bool(tabs) == bool(commas):
        return named
    return "tsv" if tabs > commas else "csv"


def read_table(text: str, path: Path) -> Records:
    """The rows of CSV or TSV text; a row with too many or too few fields is a `Flaw`, an empty line is none.

    Raises:
        PoemError: no table, a column named twice, unbalanced quotes, or no rows.
    """
    format_ = _table_format(text, path)
    # The one process-wide limit of the csv module only ever grows, so that two readers can't disturb each other.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    # Line ends are the file's, not the poem's, inside quotes too.
    lines = io.StringIO(text.replace("\r\n", "\n"), newline="")
    reader = csv.reader(lines, delimiter="\t" if format_ == "tsv" else ",", strict=True)
    header: tuple[str, ...] | None = None
    values: list[object] = []
    places: list[int] = []
    line = 1
    try:
        for fields in reader:
            starts_at, line = line, reader.line_num + 1
            if not fields:
                continue
            if header is None:
                header = _check_header([name.strip() for name in fields], starts_at, path)
            elif len(fields) == len(header):
                values.append(dict(zip(header, fields, strict=True)))
                places.append(starts_at)
            else:
                problem = _("has {found} field(s) where the header has {expected}")
                values.append(Flaw(problem.format(found=len(fields), expected=len(header))))
                places.append(starts_at)
    except csv.Error as error:
        message = _("the quotes of the row that starts here don't match: {reason}").format(reason=error)
        if "unexpected end of data" in str(error):
            message = _("a quote opened in the row that starts here is never closed: the file may be truncated")
        where = _("{path}, line {line}, row {row}").format(path=path, line=line, row=len(values))
        raise PoemError(message, hint=_('Inside quotes, a quote is written twice: "".'), where=where) from None
    if not values or header is None:
        raise PoemError(_("the table has a header but no rows"), where=str(path))
    return Records(format_, values, header, places, text)


def _check_header(names: list[str], line: int, path: Path) -> tuple[str, ...]:
    repeated = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if repeated:
        raise PoemError(
            _("the header names a column more than once: {names}").format(names=quoted_names(repeated)),
            hint=_("Give every column a name of its own."),
            where=_("{path}, line {line}").format(path=path, line=line),
        )
    return tuple(names)

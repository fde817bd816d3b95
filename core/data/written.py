"""Rows as they are written in their file, whatever its format: JSON, one line each.

A `Row` keeps only what a model may learn; null, lists and the way in which a number is written are in the file alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from core.data.formats import read_records
from core.data.text_file import read_text_file
from core.errors import PoemError
from core.i18n import _

_LINE_END = re.compile(r"[ \t\r]*\n[ \t\r\n]*")
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)


def written_rows(path: Path, sha256: str, numbers: Iterable[int]) -> Iterator[str]:
    """Read a file again, for rows that are known to be good ones.

    Args:
        path: the file.
        sha256: hex digest of its bytes when the rows were read.
        numbers: of the rows.

    Raises:
        PoemError: it can't be read, or holds something else now.
    """
    file = read_text_file(path)
    if file.sha256 != sha256:
        raise file_changed(path)
    records = read_records(file.text, path)
    lines = file.text.split("\n") if records.format == "jsonl" else []
    for number in numbers:
        place = records.places[number]
        if records.format == "jsonl":
            yield lines[place - 1].strip()
        elif records.format == "json":
            _value, end = _DECODER.raw_decode(file.text, place)
            yield _LINE_END.sub(" ", file.text[place:end])  # a good row has none inside a text
        else:
            yield json.dumps(records.values[number], ensure_ascii=False)


def file_changed(path: Path) -> PoemError:
    """What to say where a file is not what it was."""
    return PoemError(
        _("the file has changed since it was opened"), hint=_("Open it again, then try once more."), where=str(path)
    )

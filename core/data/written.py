"""Rows as they are written in their file, whatever its format: JSON, one line each.

A `Row` keeps only what a model may learn; null, lists and the way in which a number is written are in the file alone.
"""

from __future__ import annotations

import contextlib
import json
import os
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


def write_new(path: Path, parts: Iterable[str], *, overwrite: bool = False) -> None:
    """Make a file of some parts of text; the whole of it, or nothing.

    Args:
        path: the file to make.
        parts: its text, in order; whatever they raise goes through, and no file is made.
        overwrite: whether another file of that name may go.

    Raises:
        PoemError: there is such a file already, or it can't be written.
    """
    if not overwrite and os.path.lexists(path):
        raise PoemError(_("there is a file of that name already"), hint=_("Choose another name."), where=str(path))
    temporary = path.parent / f".{path.name}.{os.getpid()}.new"
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, ValueError) as error:  # ValueError: no possible name
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise PoemError(
            _("can't write the file: {reason}").format(reason=reason),
            hint=_("Choose another place."),
            where=str(path),
        ) from error
    finally:
        with contextlib.suppress(OSError, ValueError):
            temporary.unlink()  # it is there only where something went wrong


def file_changed(path: Path) -> PoemError:
    """What to say where a file is not what it was."""
    return PoemError(
        _("the file has changed since it was opened"), hint=_("Open it again, then try once more."), where=str(path)
    )

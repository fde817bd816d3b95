"""Good poems kept as rows of a JSONL file, which the Data pane and a run can read. It knows no widget.

A line is written whole by one write; a file that is something else than JSONL is left as it is.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from core.errors import PoemError
from core.i18n import _
from core.paths import path_of
from core.plain import plain
from core.runs.directory import RunDirectory
from core.runs.storage import read_json

DEFAULT_NAME = "poems.jsonl"
_LOOKED_AT_BYTES = 1_000_000


def make_row(*, instruction: str, given: str, written: str, model: str, seed: int, adapter: str = "") -> dict[str, str]:
    """The poem as a row of training data; `run`, `adapter` (where one wrote) and `seed` say where it comes from."""
    row = {"instruction": instruction, "input": given, "output": written, "run": model, "seed": str(seed)}
    return {**row, "adapter": adapter} if adapter else row


def instruction_of(run: Path | None) -> str:
    """What the model was asked to do: the run's most frequent instruction, else that of the bundled sample."""
    if run is not None:
        try:
            instruction = read_json(RunDirectory(run).manifest_path).get("instruction")
        except (OSError, ValueError):
            instruction = None
        if isinstance(instruction, str):
            return instruction
    from core.data.rows import SAMPLE, read_rows

    return read_rows(SAMPLE).rows[0].instruction


def check_path(text: str) -> str:
    """What is wrong with a path to save to; empty: nothing."""
    path = path_of(text.strip())
    if not text.strip():
        return _("Give the name of a file.")
    if path.suffix.lower() not in (".jsonl", ".ndjson"):
        return _("Rows are added to a JSONL file: give a name that ends in .jsonl.")
    if not os.path.isdir(path.parent):
        return _("There is no folder {folder}.").format(folder=plain(str(path.parent)))
    return ""


def append_row(path: Path, row: dict[str, str]) -> bool:
    """Add a row as a line of its own; the file is made where it is missing.

    Returns:
        Whether it was added; False: its last line says the same already.

    Raises:
        PoemError: the file holds something else than JSON objects, a line each, or can't be written.
    """
    line = json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o644)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise _refused(path, _("it is no ordinary file"))
            if found.st_size:
                last = _check_lines(descriptor, found.st_size, path)
                if last.strip() == line:
                    return False
                if not last.endswith(b"\n"):
                    line = b"\n" + line
            _write(descriptor, line + b"\n", found.st_size)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise PoemError(
            _("can't save the poem: {reason}").format(reason=error.strerror or error),
            hint=_("Choose another file: S."),
            where=plain(str(path)),
        ) from error
    return True


def _check_lines(descriptor: int, size: int, path: Path) -> bytes:
    """The last line, once the first and the last whole one are seen to be JSON objects."""
    start = os.pread(descriptor, _LOOKED_AT_BYTES, 0)
    first = start.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")[0]
    end = os.pread(descriptor, _LOOKED_AT_BYTES, max(0, size - _LOOKED_AT_BYTES))
    lines = end.splitlines(keepends=True)
    # A line that a killed program left unfinished is passed over by readers, and by us.
    whole = [line for line in lines if line.endswith(b"\n") and line.strip()]
    checked = [first, *whole[-1:]] if whole or not first.startswith(b"{") else []
    for line in checked:
        try:
            is_object = isinstance(json.loads(line), dict)
        except (ValueError, RecursionError):
            is_object = False
        if line.strip() and not is_object:
            raise _refused(path, _("it holds something else than a JSON object on each line"))
    return lines[-1]


def _write(descriptor: int, data: bytes, size_before: int) -> None:
    try:
        written = os.write(descriptor, data)
        if written != len(data):
            raise OSError(_("there is no room for the whole row"))
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size_before)
        raise


def _refused(path: Path, reason: str) -> PoemError:
    return PoemError(
        _("This is no JSONL file: {reason}.").format(reason=reason),
        hint=_("It was left as it is. Choose another file: S."),
        where=plain(str(path)),
    )

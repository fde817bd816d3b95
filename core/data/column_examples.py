"""The columns of a file that no rule fits, each with something that it holds, so that a person can say what is what.

It reads the beginning of a large JSONL only. It must not know how the columns will be mapped.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

from core.data.formats import read_records
from core.data.json_records import decode_line
from core.data.records import suffix_format
from core.data.rows import resolve_data_path
from core.data.text_file import read_text_file

_LARGE_BYTES = 48 * 2**20
_ROWS_LOOKED_AT = 200
_EXAMPLE_CHARACTERS = 200


def column_examples(path: str) -> dict[str, str]:
    """Column → the first text or number in it, "" where there is none; in the file's order.

    Args:
        path: the file, or `builtin:NAME`.

    Raises:
        PoemError: it can't be read.
    """
    real = resolve_data_path(path)
    names: dict[str, str] = {}
    for value in itertools.islice(_values(real), _ROWS_LOOKED_AT):
        for name, held in value.items() if isinstance(value, dict) else ():
            if not names.get(name):
                names[name] = held[:_EXAMPLE_CHARACTERS].strip() if isinstance(held, str) else ""
    return names


def _values(path: Path) -> Iterable[object]:
    large = path.is_file() and path.stat().st_size >= _LARGE_BYTES
    if not large or suffix_format(path) != "jsonl":
        yield from read_records(read_text_file(path).text, path).values
        return
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        yield from (decode_line(line, last=False) for line in itertools.islice(file, _ROWS_LOOKED_AT) if line.strip())

"""The text of a data file → its records, in whichever format it is written.

It knows formats, not meanings: which column is the output is for `core.data.columns`, what a row needs for
`core.data.rows`.
"""

from __future__ import annotations

from pathlib import Path

from core.data.json_records import read_array, read_objects, skip_space
from core.data.records import Records
from core.data.table_records import read_table
from core.errors import PoemError
from core.i18n import _


def read_records(text: str, path: Path) -> Records:
    """Read all records. What the text is, is told by its first characters; the name decides only what they leave open.

    Raises:
        PoemError: empty, not one of the formats, or broken so that the records after the fault can't be told apart.
    """
    start = skip_space(text, 0)
    if not text:
        raise PoemError(_("the file is empty"), where=str(path))
    if start == len(text):
        raise PoemError(_("the file holds only white space"), where=str(path))
    if text[start] == "[":
        return read_array(text, start, path)
    if text[start] == "{":
        return read_objects(text, start, path)
    return read_table(text, path)

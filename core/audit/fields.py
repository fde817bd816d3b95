"""What is wrong with a row's fields: empty or tiny ones, and an output that says the input again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from core.audit.poem import Lines, input_in_output
from core.data.row import Row
from core.i18n import _

_THREE_CHARACTERS = re.compile(r"\w\W*\w\W*\w")


def tiny_fields(rows: Sequence[Row], _lines: Sequence[Lines]) -> Mapping[int, str]:
    """Fields of at most two characters, marks aside: of outputs all; of the others where most rows have more there."""
    found: dict[int, str] = {}
    for name in ("output", "input", "instruction"):
        tiny = {row.number: text for row in rows if not _THREE_CHARACTERS.search(text := getattr(row, name))}
        if name != "output" and 2 * len(tiny) >= len(rows):
            continue
        for number, text in tiny.items():
            words = _("{field} is “{text}”") if text.strip() else _("{field} is blank")
            found.setdefault(number, words.format(field=name, text=_short(text.strip())))
    return found


def repeated_inputs(rows: Sequence[Row], _lines: Sequence[Lines]) -> Mapping[int, str]:
    """Rows whose output holds the whole input, in a file where that is not the rule."""
    found: dict[int, str] = {}
    for row in rows:
        at = input_in_output(row)
        if at is not None:
            found[row.number] = _("the output holds the input") if at else _("the output begins with the input")
    return {} if 2 * len(found) > len(rows) else found


def _short(text: str) -> str:
    return text if len(text) <= 12 else text[:12] + "…"

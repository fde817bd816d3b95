"""The poem that a row holds, as it is judged."""

from __future__ import annotations

from core.data.row import Row
from core.verse.form import REGULAR_FORMS, form_of, verse_lines

Lines = tuple[str, ...]
"""The lines of a poem without any marks, as `core.verse.form.verse_lines` gives them."""

_MARKS_AT_END = "，。！？；、：,.!?;: \t\n"
_SHORTEST_INPUT = 4


def input_in_output(row: Row) -> int | None:
    """Where in the output the whole input stands, marks at its end aside, in characters; None where it doesn't, or is
    too short to say.
    """
    given = row.input.strip().rstrip(_MARKS_AT_END)
    if len(given) < _SHORTEST_INPUT:
        return None
    at = row.output.find(given)
    return at if at >= 0 else None


def repeats_input(row: Row) -> bool:
    """Whether the output begins with the whole input, marks at its end aside."""
    at = input_in_output(row)
    return at is not None and not row.output[:at].strip()


def judged_poem(row: Row) -> str:
    """The poem of a row: its input and its output, the one in lines of its own, or the output alone.

    It is the output alone where that begins with the input, and where it has a regular form by itself and not even
    equal lines with the input, which then is a title or a request.
    """
    if repeats_input(row):
        return row.output
    poem = f"{row.input}\n{row.output}"
    if len(set(map(len, verse_lines(poem)))) > 1 and form_of(verse_lines(row.output)) in REGULAR_FORMS.values():
        return row.output
    return poem

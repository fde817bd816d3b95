"""Which column of a file is the instruction, the input and the output: by a rule that people can see, never by a guess.

It must not know how a file is written, nor what is in its rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from core.data.records import quoted_names
from core.errors import PoemError
from core.i18n import _
from core.plain import plain

FIELDS = ("instruction", "input", "output")
"""What a row has, and the names that `[data.columns]` may map."""

_PROMPT_COMPLETION = {"input": "prompt", "output": "completion"}
# Names that other data sets use, for the suggestion in an error message only.
_OUTPUT_NAMES = ("response", "answer", "completion", "target", "text", "poem", "content", "paragraphs", "output")
_INPUT_NAMES = ("prompt", "input", "question", "query", "source", "context", "first_line", "title")


def choose_columns(
    columns: Sequence[str], wanted: Mapping[str, str] | None, path: Path, *, text_columns: Iterable[str]
) -> tuple[dict[str, str], str]:
    """Apply the first rule that fits.

    1. "profile": `wanted`, where it is not empty; it names every column that counts, and the output at least.
    2. "alpaca": `output`, with `instruction` and `input` where the file has them.
    3. "prompt-completion": `prompt` is the input and `completion` the output.

    Args:
        columns: the file's columns in order.
        wanted: `[data.columns]` of the profile: field → column.
        path: the file, for messages.
        text_columns: the columns that hold text in some row: only those are suggested.

    Returns:
        The mapping field → column, with only the fields that have a column, and the name of the rule.

    Raises:
        PoemError: `wanted` does not suit the file, or no rule fits.
    """
    if wanted:
        return _from_profile(columns, wanted, path), "profile"
    if "output" in columns:
        return {field: field for field in FIELDS if field in columns}, "alpaca"
    if all(column in columns for column in _PROMPT_COMPLETION.values()):
        return dict(_PROMPT_COMPLETION), "prompt-completion"
    raise PoemError(
        _("no rule says which column is the output; the columns are: {names}").format(names=quoted_names(columns)),
        hint=_suggestion([column for column in columns if column in set(text_columns)]),
        where=str(path),
    )


def _from_profile(columns: Sequence[str], wanted: Mapping[str, str], path: Path) -> dict[str, str]:
    unknown = [field for field in wanted if field not in FIELDS]
    if unknown:
        raise PoemError(
            _("there is no field {names}").format(names=quoted_names(unknown)),
            hint=_("The fields are: {names}").format(names=", ".join(FIELDS)),
            where="data.columns",
        )
    missing = [column for column in wanted.values() if column not in columns]
    if missing:
        raise PoemError(
            _("the file {path} has no column {names}").format(path=path, names=quoted_names(missing)),
            hint=_("The columns are: {names}").format(names=quoted_names(columns)),
            where="data.columns",
        )
    if "output" not in wanted:
        raise PoemError(
            _("no column is named for the output"),
            hint=_("Add a line such as: output = {column}\nThe columns are: {names}").format(
                column=_toml(columns[-1]), names=quoted_names(columns)
            ),
            where="data.columns",
        )
    if len(set(wanted.values())) < len(wanted):
        raise PoemError(
            _("one column is named for two fields"),
            hint=_("The columns are: {names}").format(names=quoted_names(columns)),
            where="data.columns",
        )
    return {field: wanted[field] for field in FIELDS if field in wanted}


def _suggestion(candidates: Sequence[str]) -> str:
    """The lines to put into the profile, with the likeliest of the columns."""
    if not candidates:
        return _("None of them holds text.")
    output = next((name for name in _OUTPUT_NAMES if name in candidates), candidates[-1])
    others = [column for column in candidates if column != output]
    lines = ["[data.columns]"]
    if others:
        lines.append(f"input = {_toml(next((name for name in _INPUT_NAMES if name in others), others[0]))}")
    lines.append(f"output = {_toml(output)}")
    return _("Say it in the profile, for example (check the names):\n{lines}").format(lines="\n".join(lines))


def _toml(name: str) -> str:
    return json.dumps(plain(name), ensure_ascii=False)

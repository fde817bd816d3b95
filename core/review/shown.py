"""How lists, a profile's values and the changes that advice asks for are shown in a report."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.advice.amounts import rate
from core.advice.rule import Advice, Severity
from core.i18n import N_, _
from core.profile.presets import preset_names

SEVERITIES: Mapping[Severity, str] = {
    "error": N_("error"),
    "warning": N_("warning"),
    "hint": N_("hint"),
    "good": N_("good"),
}
"""What each severity is called, the gravest first."""
_LONGEST_VALUE = 80


def listed(items: Iterable[str]) -> str:
    """Items in a line, as the reader's language lists them."""
    return _(", ").join(items)


def gravest_first(advice: Sequence[Advice]) -> list[Advice]:
    """The same, errors before warnings, hints and what is good."""
    order = list(SEVERITIES)
    return sorted(advice, key=lambda one: order.index(one.severity))


def shown_setting(value: Any) -> str:
    """A value as a table has it: nearly as in TOML, cut where it is long."""
    if isinstance(value, float):
        text = rate(value) if value else "0"
    elif isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, Mapping):
        text = ", ".join(f"{name} = {shown_setting(one)}" for name, one in value.items()) or "{}"
    elif isinstance(value, Sequence):
        text = "[" + ", ".join(_shown_item(one) for one in value) + "]"
    else:
        text = str(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _shown_item(value: Any) -> str:
    """An item of a list; of a task its name and weight."""
    return f"{value['name']} {value['weight']:g}" if isinstance(value, Mapping) else shown_setting(value)


def shown_change(advice: Advice) -> str:
    """From what to what its fix changes; "" without one."""
    fix = advice.fix
    if fix is None:
        return ""
    if fix.key != advice.key:
        return f"{fix.key} = {shown_setting(fix.value)}"
    return f"{shown_setting(advice.value)} → {shown_setting(fix.value)}"


def fix_command(advice: Sequence[Advice], *, source: str, file: str, options: Sequence[str] = ()) -> str:
    """The command that applies the fixes of some advice to a profile, a preset's to a file of its own.

    Args:
        advice: with fixes.
        source: the profile's name or file.
        file: the data file.
        options: what else the review was told, as `set_options` and `tokenizer_options` give it.
    """
    ids = " ".join(shlex.quote(id) for id in dict.fromkeys(one.id for one in advice))
    out = fixed_source(source)
    into = "" if out == source else f" -o {shlex.quote(out)}"
    more = "".join(f" {shlex.quote(option)}" for option in options)
    return f"poemcore profile fix {shlex.quote(source)} --data {shlex.quote(file)}{more} --apply {ids}{into}"


def set_options(overrides: Sequence[str]) -> list[str]:
    """Options that change a profile's keys as `--set` did: KEY=VALUE each."""
    return [word for override in overrides for word in ("--set", override)]


def tokenizer_options(folder: str) -> list[str]:
    """The option that names the folder to count tokens with; none for ""."""
    return ["--tokenizer", folder] if folder else []


def fixed_source(source: str) -> str:
    """The profile that `fix_command` leaves: the file itself, or one beside it, as no preset is ever changed."""
    return f"my-{source}.toml" if source in preset_names() else source

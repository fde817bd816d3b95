"""One key of a profile described: what it may be, what it means, what to set it to. It knows no file and no value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.i18n import N_, _

Kind = Literal["text", "integer", "number", "integer or all", "list of texts", "list of rows", "columns", "tasks"]

KIND_NAMES: dict[str, str] = {
    "text": N_("text"),
    "integer": N_("a whole number"),
    "number": N_("a number"),
    "integer or all": N_('a whole number or "all"'),
    "list of texts": N_("a list of texts"),
    "list of rows": N_('a list of row numbers, ranges such as "100-120" and kinds of problems'),
    "columns": N_("a table of column names"),
    "tasks": N_("a list of tables, [[data.tasks]]"),
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `unit`, `meaning` and `advice` are marked for translation and translated by whoever shows them."""

    name: str
    """Table and key: `train.epochs`."""
    kind: Kind
    """The type of its value."""
    meaning: str
    """What it does, one or two sentences."""
    advice: str
    """Why the default, and what would raise or lower it."""
    unit: str = ""
    """What a number counts; empty for a bare one and for text."""
    low: float | None = None
    """The least value allowed, or the bound itself where `low_open`; None: no bound."""
    high: float | None = None
    """The greatest value allowed, or the bound itself where `high_open`; None: no bound."""
    low_open: bool = False
    """Whether `low` itself is outside."""
    high_open: bool = False
    """Whether `high` itself is outside."""
    choices: tuple[str, ...] = ()
    """The texts allowed, `cuda:N` standing for any number; empty: any text."""
    may_be_empty: bool = False
    """Whether "" is allowed, of a text or of the texts in a list."""
    may_have_lines: bool = False
    """Whether line breaks and tabs are allowed in the text."""
    is_command: bool = False
    """Whether the text is a program and its arguments, to be split as a shell would split words."""

    @property
    def table(self) -> str:
        """The TOML table that it stands in: `train`, `data.tasks`."""
        return self.name.rpartition(".")[0]

    @property
    def is_list(self) -> bool:
        """Whether its value is a list of plain values."""
        return self.kind.startswith("list")

    @property
    def field(self) -> str:
        """Its name inside the table: `epochs`."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Derived:
    """A value that follows from others: shown, never set."""

    name: str
    """As a key would be called: `train.steps`."""
    formula: str
    """How it is computed, in names of keys."""
    meaning: str
    """What it says, marked for translation."""


def describe_range(key: Key) -> str:
    """What values are allowed, in words: `1 to 10,000 epochs`, `above 0, up to 1`, the choices; empty where all are."""
    if key.choices:
        return ", ".join(f'"{choice}"' for choice in key.choices)
    if key.low is None or key.high is None:
        return ""
    low, high = f"{key.low:,.15g}", f"{key.high:,.15g}"
    if key.low_open:
        return _("above {low}, up to {high}").format(low=low, high=high)
    if key.high_open:
        return _("at least {low}, below {high}").format(low=low, high=high)
    words = _("{low} to {high}").format(low=low, high=high)
    if key.unit:
        words = f"{words} {_(key.unit)}"
    return _('{range}, or "all"').format(range=words) if key.kind == "integer or all" else words


def describe_values(key: Key) -> str:
    """What values are allowed, or else of what type they are; never empty."""
    if key.kind == "list of texts" and key.choices:
        return _("a list of {choices}").format(choices=describe_range(key))
    if key.kind == "list of rows":
        words = _('a list of row numbers, ranges such as "100-120", and any of {choices}')
        return words.format(choices=describe_range(key))
    return describe_range(key) or _(KIND_NAMES[key.kind])

"""The reference as a Markdown page: profiles/README.md is this text in English, and a test keeps it so."""

from __future__ import annotations

import json
from collections.abc import Iterable

from core.i18n import _
from core.profile.key import Key, describe_values
from core.profile.presets import preset_names, preset_text
from core.profile.reference import CONSTANTS, DERIVED, KEYS, TABLES, default_of


def shown_default(key: Key) -> str:
    """The default as TOML writes it; empty where there is none."""
    value = default_of(key)
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    # For numbers, texts and lists of them JSON is TOML, and an empty table is spelt alike.
    return json.dumps(value, ensure_ascii=False)


def markdown_page() -> str:
    """The whole page, in the language in use."""
    parts = [
        "# " + _("Profiles"),
        "<!-- " + _("made by: poemcore profile keys --markdown > profiles/README.md") + " -->",
        _(
            "A profile is a TOML file that decides a run: base model, data, training, adapter, sampling. "
            "Every key may be left out and then has its default. `poemcore profile new my.toml` writes "
            "one to edit, `poemcore profile check my.toml` finds what is wrong with it, and `--set "
            "train.epochs=3` changes one key for one command. A relative path inside a profile is taken "
            "from the directory that the command runs in."
        ),
        "## " + _("Shipped profiles"),
        _("They are known by name from any directory: `poemcore train tang-tiny-cpu`."),
        _table([_("name"), _("what it is for")], ([f"`{name}`", _first_comment(name)] for name in preset_names())),
    ]
    for table in (*TABLES[:2], "data.columns", "data.tasks", *TABLES[2:]):
        parts.append(f"## [[{table}]]" if table == "data.tasks" else f"## [{table}]")
        parts.append(
            _table(
                [_("key"), _("default"), _("it may be"), _("meaning"), _("advice")],
                (_key_cells(key) for key in KEYS.values() if key.table == table),
            )
        )
    parts.append("## " + _("Derived values"))
    parts.append(_("They follow from the keys; they are shown and can't be set."))
    parts.append(
        _table(
            [_("value"), _("formula"), _("meaning")],
            ([f"`{one.name}`", one.formula, _(one.meaning)] for one in DERIVED.values()),
        )
    )
    parts.append("## " + _("The first experiment's constants"))
    parts.append(_("`original-recipe` holds their values."))
    constants = ([f"`{constant}`", _constant_cell(name)] for constant, name in CONSTANTS.items())
    parts.append(_table([_("constant"), _("key")], constants))
    return "\n\n".join(parts) + "\n"


def _key_cells(key: Key) -> list[str]:
    default = shown_default(key)
    return [f"`{key.field}`", f"`{default}`" if default else "", describe_values(key), _(key.meaning), _(key.advice)]


def _constant_cell(name: str) -> str:
    return f"`{name}` ({_('derived')})" if name in DERIVED else f"`{name}`"


def _first_comment(name: str) -> str:
    return preset_text(name).split("\n", 1)[0].removeprefix("# ")


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)

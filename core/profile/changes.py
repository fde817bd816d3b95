"""Which keys of a run's profile may change while the run goes on, and what has changed between two profiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tomli_w

from core.errors import PoemError
from core.i18n import _
from core.plain import plain
from core.profile.document import profile_to_dict
from core.profile.schema import Profile

CHANGEABLE = (
    "train.epochs",
    "train.max_steps",
    "train.eval_every",
    "train.checkpoint_every",
    "train.keep_checkpoints",
    "train.sample_every",
    "train.sample_prompts",
    "train.trackers",
    "notify.command",
)
"""How long a run is, and how it is watched and kept. What it learns from, and how, stays what it began with."""


@dataclass(frozen=True, slots=True)
class Change:
    """One key that differs."""

    key: str
    """The key."""
    before: str
    """Its value before, as TOML."""
    after: str
    """Its value after, as TOML."""


def changes_between(before: Profile, after: Profile) -> tuple[Change, ...]:
    """The keys whose values differ."""
    old, new = profile_to_dict(before), profile_to_dict(after)
    return tuple(
        Change(f"{section}.{key}", _toml(old[section].get(key)), _toml(new[section].get(key)))
        for section in new
        for key in {**old[section], **new[section]}
        if old[section].get(key) != new[section].get(key)
    )


def refuse_fixed(changes: tuple[Change, ...], *, where: str) -> None:
    """See that nothing but `CHANGEABLE` keys changes.

    Raises:
        PoemError: something else does.
    """
    fixed = [change for change in changes if change.key not in CHANGEABLE]
    if fixed:
        raise PoemError(
            _("a run keeps what it began with: {changes}").format(
                changes=", ".join(plain(f"{change.key} {change.before} → {change.after}") for change in fixed)
            ),
            hint=_("What may change: {keys}. For anything else start a new run.").format(keys=", ".join(CHANGEABLE)),
            where=where,
        )


def _toml(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {_toml(item)}' for key, item in value.items())}}}"
    return tomli_w.dumps({"v": value}, multiline_strings=False).partition("=")[2].strip()

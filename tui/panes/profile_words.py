"""What the Profile pane says: the line above the editor, and what a key means."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from textual.content import Content

from core.i18n import _
from core.profile.key import Key, describe_values
from core.profile.problem import Problem
from core.profile.reference import DERIVED, KEYS, default_of, derive
from core.profile.schema import Profile
from tui.advice import advice_content, value_words
from tui.plain import content
from tui.workbench import DataState, ProfileState

if TYPE_CHECKING:
    from core.advice.rule import Advice

_SOME_ROWS = 1_000


def head_words(state: ProfileState, data: DataState, advised: int, planned_steps: int | None) -> str:
    """Name, whether it is saved, and the problems or how much is advised and what follows from the values.

    Args:
        state: of the profile.
        data: what the number of steps is worked out from where it isn't known.
        advised: how many pieces of advice there are.
        planned_steps: of a run of this very profile; None: nobody worked that out yet.
    """
    is_file = state.path is not None or os.sep in state.source
    words = [state.source if is_file else _("{name} (preset)").format(name=state.source)]
    words += [_("not saved")] if state.unsaved else []
    if state.problems:
        words.append(_("problems: {count}").format(count=state.problems))
    elif state.profile is not None:
        words += [_("advice: {count}").format(count=advised)] if advised else []
        rows = data.rows if data.complete and data.path == state.profile.data.path else None
        wanted = state.profile.data.rows
        if rows is not None:
            rows = max(1, rows - state.profile.data.eval_rows)
            rows = rows if wanted == "all" else min(rows, wanted)
        derived = derive(state.profile, rows)
        if planned_steps is not None:
            words.append(_("{steps:,} steps").format(steps=planned_steps))
        elif derived["train.steps"] is not None:
            words.append(_("about {steps:,} steps").format(steps=derived["train.steps"]))
        words.append(_("gradient accumulation {count}").format(count=derived["train.gradient_accumulation"]))
    return " · ".join(words)


def key_content(
    name: str | None,
    profile: Profile | None,
    advice: Sequence[Advice],
    *,
    roomy: bool,
    is_set: bool = True,
    unknown: str = "",
) -> Content:
    """What a key means, what it may be, and what is advised about it; of no key, how to get help.

    Args:
        name: the key; None or unknown: there is none.
        profile: whose value of it is told; None: nobody's.
        advice: on this key, the gravest first.
        roomy: with blank lines.
        is_set: whether the profile's text holds it.
        unknown: where the advice doesn't go by the data, why, and how to get there.
    """
    parts: list[list[Content]] = []
    key = KEYS.get(name or "")
    if key is not None:
        facts = [_fact(_("may be"), describe_values(key))]
        default = default_of(key)
        facts += [_fact(_("default"), value_words(default))] if default is not None else []
        if profile is not None and (value := value_of(profile, key.name)) is not None and key.kind != "tasks":
            facts.append(_fact(_("now"), value_words(value)))
        title = content(key.name, "bold")
        if not is_set:
            title = Content.assemble(title, content("  " + _("not set in this text"), "$text-muted"))
        parts += [[title, *map(advice_content, advice)], [content(_(key.meaning))]]
        parts += [facts if roomy else [Content("  ").join(facts)], [content(_(key.advice))]]
    elif name is not None and name in DERIVED:
        parts.append([content(_(DERIVED[name].meaning))])
    else:
        parts.append([content(_("Put the cursor on a key to see what it means."), "$text-muted")])
    if profile is not None and unknown:
        parts.append([content(unknown, "$text-muted")])
    between = Content("\n\n" if roomy else "\n")
    return between.join(Content("\n").join(part) for part in parts)


def problem_content(problem: Problem) -> Content:
    """A problem with its place and how to mend it."""
    parts = [content(f"{problem.where}: {problem.message}" if problem.where else problem.message, "$text-error")]
    if problem.hint:
        parts.append(content(problem.hint, "$text-muted"))
    return Content("\n").join(parts)


def _fact(name: str, value: str) -> Content:
    return Content.assemble(content(f"{name}: ", "$text-muted"), content(value))


def value_of(profile: Profile, name: str) -> Any:
    """The value of a key; None where it stands in a list of tables or isn't set."""
    table, _dot, field = name.rpartition(".")
    if table in ("data.columns", "data.tasks"):
        return None
    return getattr(getattr(profile, table), field)


def offered(key: Key, value: Any) -> list[Any]:
    """Values to choose from: all of an enumeration, of a number some around it; none where only typing makes sense."""
    from core.profile.edit import step_value

    if key.kind == "text" and key.choices:
        return [choice for choice in key.choices if choice != "cuda:N"]
    if value == "all":
        value = _SOME_ROWS
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return []
    values = [value]
    for direction in (-1, 1):
        at = value
        for _turn in range(4):
            following = step_value(key, at, direction)
            if following == at:
                break
            at = following
            values.append(at)
    return sorted(set(values)) + (["all"] if key.kind == "integer or all" else [])

"""The section on the parameters: every key of the profile with its value, meaning, judgement and suggestion."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from core.advice.case import value_of
from core.advice.facts import Facts
from core.advice.plan import train_rows
from core.advice.rule import Advice
from core.i18n import N_, _
from core.profile.reference import DERIVED, KEYS, derive
from core.profile.schema import Profile
from core.report.document import Block, Code, Section, Table, Text
from core.report.words import TONE_MARKS
from core.review.shown import SEVERITIES, fix_command, gravest_first, shown_change, shown_setting

_GROUPS = (
    (N_("Model and data"), ("model", "data")),
    (N_("Training"), ("train", "notify")),
    (N_("LoRA"), ("lora",)),
    (N_("Generation"), ("generation",)),
)
_SENTENCE_END = re.compile(r"(?<=\.)\s+|(?<=。)")


def parameters_section(
    profile: Profile,
    advice: Sequence[Advice],
    *,
    facts: Facts | None = None,
    source: str = "PROFILE",
    file: str = "FILE",
    options: Sequence[str] = (),
) -> Section:
    """A table for each part of the profile, what follows from it, and the reason of every judgement.

    Args:
        profile: a checked one.
        advice: given of it.
        facts: measured of the file; without them the steps of `data.rows = "all"` aren't known.
        source: the profile's name or file, and
        file: the data file, and
        options: what else the review was told, as for `core.review.shown.fix_command`: for the command that applies
            fixes.
    """
    by_key: dict[str, list[Advice]] = {}
    for one in gravest_first(advice):
        by_key.setdefault(one.key, []).append(one)
    blocks: list[Block] = [Text(_summary(advice))]
    for title, tables in _GROUPS:
        rows = [_row(profile, name, by_key.get(name, [])) for name in _keys_of(tables)]
        header = (_("key"), _("value"), _("meaning"), _("judgement"), _("suggestion"))
        blocks += [Text(_(title)), Table(header, tuple(rows))]
    blocks += [Text(_("What follows from them")), _derived(profile, facts)]
    blocks += [
        Text(_("{key}: {reason} [{id}]").format(key=one.key, reason=one.reason, id=one.id), one.severity)
        for one in gravest_first(advice)
    ]
    fixes = [one for one in gravest_first(advice) if one.fix is not None]
    if fixes:
        blocks += [
            Text(_("To apply the suggestions, comments kept, all of them or some by their ids:")),
            Code(fix_command(fixes, source=source, file=file, options=options)),
        ]
    return Section("parameters", _("Parameter analysis"), tuple(blocks))


def _summary(advice: Sequence[Advice]) -> str:
    counts = {severity: sum(one.severity == severity for one in advice) for severity in SEVERITIES}
    return _(
        "{keys} keys, {judgements} judgements. Errors: {error}, warnings: {warning}, hints: {hint}, good: {good}. Each "
        "follows from a rule, whose reason stands below the tables; a rule judges the run as the other fixes would "
        "have it."
    ).format(keys=sum(1 for _name in _keys_of(_all_tables())), judgements=len(advice), **counts)


def _all_tables() -> tuple[str, ...]:
    return tuple(table for _title, tables in _GROUPS for table in tables)


def _keys_of(tables: Sequence[str]) -> Iterator[str]:
    """The keys of these tables; those inside data.columns and data.tasks are shown as the values of these."""
    return (key.name for key in KEYS.values() if key.table in tables)


def _row(profile: Profile, name: str, advice: Sequence[Advice]) -> tuple[str, ...]:
    meaning = _SENTENCE_END.split(_(KEYS[name].meaning), maxsplit=1)[0]
    judgement = "–"
    if advice:
        severity = advice[0].severity
        judgement = f"{TONE_MARKS[severity]} {_(SEVERITIES[severity])}"
    changes = "; ".join(dict.fromkeys(filter(None, map(shown_change, advice))))
    return name, shown_setting(value_of(profile, name)), meaning, judgement, changes


def _derived(profile: Profile, facts: Facts | None) -> Table:
    values = derive(profile, None if facts is None else train_rows(profile, facts))
    rows = []
    for name, derived in DERIVED.items():
        value = values[name]
        shown = _("unknown") if value is None else f"{value:,}" if isinstance(value, int) else shown_setting(value)
        rows.append((name, shown, derived.formula, _(derived.meaning)))
    return Table((_("value"), _("figure"), _("formula"), _("meaning")), tuple(rows), right=(1,))

"""Nested values → profile, with every problem in them. It knows no TOML text: where a key stands, it asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from core.data.recipe import DEFAULT_TASK, Task, check_task_template
from core.i18n import _
from core.profile.contradictions import find_contradictions
from core.profile.lines import KeyPath
from core.profile.problem import Problem
from core.profile.reference import CONSTANTS, DERIVED, KEYS, TABLES, fields_of, nearest, nearest_key
from core.profile.schema import DataKeys, GenerationKeys, LoraKeys, ModelKeys, NotifyKeys, Profile, TrainKeys
from core.profile.values import Fault, convert_value, shown_name, shown_value

LineOf = Callable[[KeyPath], int | None]

_CLASSES = {
    "model": ModelKeys,
    "data": DataKeys,
    "train": TrainKeys,
    "lora": LoraKeys,
    "generation": GenerationKeys,
    "notify": NotifyKeys,
}
_COLUMN_FIELDS = ("instruction", "input", "output")
_TASK_FIELDS = ("name", "instruction", "input", "output", "weight")
_MOST_HINTED = 100
"""Finding a near name takes time; whoever has a hundred misspelt keys gave the wrong file."""


def check_values(
    document: Mapping[str, object],
    overrides: Mapping[tuple[str, str], object],
    line_of: LineOf,
    *,
    partial: bool = False,
) -> tuple[Profile | None, list[Problem]]:
    """Check every value of a profile.

    Args:
        document: tables of values, as tomllib gives them.
        overrides: (table, key) → a value that replaces the document's.
        line_of: the line of a key's path; None for one that an override set.
        partial: whether some of the text or of the overrides could not be read. No contradictions are looked for then:
            one of the values may be what is missing.

    Returns:
        The profile, None where there is any problem; and the problems, unsorted.
    """
    problems: list[Problem] = []
    values = _flatten(document, line_of, problems)
    for (table, field), value in overrides.items():
        top, _dot, inner = field.partition(".")
        if inner:
            columns = values.get((table, top))
            values[table, top] = {**(columns if isinstance(columns, dict) else {}), inner: value}
        else:
            values[table, field] = value
    good: dict[tuple[str, str], object] = {}
    for (table, field), value in values.items():
        key = KEYS[f"{table}.{field}"]
        path: KeyPath = (table, field)
        if key.kind == "tasks":
            converted, faults = _convert_tasks(value)
        elif key.kind == "columns":
            converted, faults = _convert_columns(value)
        else:
            converted, faults = convert_value(key, value, key.name)
        if not faults:
            good[table, field] = converted
        for fault in faults:
            place = (*path, *fault.path)
            problems.append(Problem(shown_name(place), line_of(place), fault.message, fault.hint))
    if partial:
        return None, problems
    for contradiction in find_contradictions(_with_defaults(good), _misunderstood(problems)):
        subject = _subject(contradiction.keys, values, overrides)
        line = line_of(tuple(subject.split(".")))
        problems.append(Problem(subject, line, contradiction.message, contradiction.hint))
    return (None, problems) if problems else (_build(good), problems)


def _misunderstood(problems: Sequence[Problem]) -> set[str]:
    """The keys whose value is not what was meant: wrong ones, and those whose name was misspelt."""
    names = {".".join(problem.key.split("[")[0].split(".")[:2]) for problem in problems[:_MOST_HINTED]}
    return names | {near for near in map(nearest_key, names - set(KEYS)) if near}


def _flatten(document: Mapping[str, object], line_of: LineOf, problems: list[Problem]) -> dict[tuple[str, str], object]:
    """(table, key) → value for every known key; whatever is unknown or in the wrong place becomes a problem."""
    values: dict[tuple[str, str], object] = {}

    def report(path: KeyPath, message: str, hint: str) -> None:
        problems.append(Problem(shown_name(path), line_of(path), message, hint))

    def near_hint(name: str) -> str:
        return _near_hint(name) if len(problems) < _MOST_HINTED else ""

    for table, content in document.items():
        name = shown_name((table,))
        if table not in TABLES and isinstance(content, dict):
            near = nearest(table, TABLES) if len(problems) < _MOST_HINTED else None
            hint = _("Did you mean [{near}]?").format(near=near) if near else ""
            known = _("The tables are: {names}.").format(names=", ".join(f"[{known}]" for known in TABLES))
            report((table,), _("there is no table [{name}]").format(name=name), f"{hint} {known}".strip())
        elif table not in TABLES:
            report((table,), _("there is no key {name} outside the tables").format(name=name), near_hint(table))
        elif not isinstance(content, dict):
            message = _("{name} must be a table").format(name=name)
            report((table,), message, _("Write [{name}] on a line of its own, and its keys below.").format(name=name))
        else:
            known_fields = fields_of(table)
            for field, value in content.items():
                if field in known_fields:
                    values[table, field] = value
                    continue
                path = (table, field)
                message = _("there is no key {name}").format(name=shown_name(path))
                report(path, message, near_hint(f"{table}.{field}"))
    return values


def _near_hint(name: str) -> str:
    near = nearest_key(name)
    if near is None:
        return _("See: poemcore profile keys")
    field = name.rpartition(".")[2]
    if near in DERIVED:
        return _("{name} is not set but follows: {formula}.").format(name=near, formula=DERIVED[near].formula)
    if CONSTANTS.get(field) == near or near.rpartition(".")[2] == field:
        return _("It is called {near} here.").format(near=near)
    return _("Did you mean {near}?").format(near=near)


def _convert_columns(value: object) -> tuple[object, list[Fault]]:
    if not isinstance(value, Mapping):
        message = _("data.columns must be a table of column names, not {found}").format(found=shown_value(value))
        return value, [Fault((), message, _('For example: columns = {input = "first", output = "rest"}'))]
    faults: list[Fault] = []
    for field, column in value.items():
        if field not in _COLUMN_FIELDS:
            near = nearest(field, _COLUMN_FIELDS)
            hint = _("Did you mean {near}?").format(near=near) + " " if near else ""
            hint += _("The fields are instruction, input and output.")
            name = shown_name(("data", "columns", field))
            faults.append(Fault((field,), _("there is no field {name}").format(name=name), hint))
            continue
        name = f"data.columns.{field}"
        found = convert_value(KEYS[name], column, name)[1]
        faults.extend(Fault((field,), fault.message, fault.hint) for fault in found)
        earlier = next((other for other in _fields_before(value, field) if value[other] == column), None)
        if earlier is not None:
            message = _("data.columns.{field} and data.columns.{earlier} are the same column, {column}").format(
                field=field, earlier=earlier, column=shown_value(column)
            )
            faults.append(Fault((field,), message, _("Every field takes a column of its own.")))
    return dict(value), faults


def _fields_before(value: Mapping[str, object], field: str) -> list[str]:
    names = [name for name in value if name in _COLUMN_FIELDS]
    return names[: names.index(field)]


def _convert_tasks(value: object) -> tuple[object, list[Fault]]:
    if isinstance(value, Mapping):
        hint = _("Write [[data.tasks]], with two brackets.")
        return value, [Fault((), _("data.tasks must be a list of tables"), hint)]
    if not isinstance(value, (list, tuple)):
        message = _("data.tasks must be a list of tables, not {found}").format(found=shown_value(value))
        return value, [Fault((), message, _("Write [[data.tasks]] and the task's keys below, once for every task."))]
    tasks: list[Task] = []
    faults: list[Fault] = []
    for index, content in enumerate(value):
        task, task_faults = _convert_task(index, content)
        faults.extend(task_faults)
        if task is not None:
            tasks.append(task)
    return tuple(tasks), faults


def _convert_task(index: int, content: object) -> tuple[Task | None, list[Fault]]:
    place = shown_name(("data", "tasks", index))
    if not isinstance(content, Mapping):
        message = _("{name} must be a table, not {found}").format(name=place, found=shown_value(content))
        return None, [Fault((index,), message, _('For example: {name = "style", instruction = "…"}'))]
    faults: list[Fault] = []
    values: dict[str, Any] = {
        "instruction": DEFAULT_TASK.instruction,
        "input": DEFAULT_TASK.input,
        "output": DEFAULT_TASK.output,
        "weight": DEFAULT_TASK.weight,
    }
    for field, value in content.items():
        name = shown_name(("data", "tasks", index, field))
        if field not in _TASK_FIELDS:
            near = nearest(field, _TASK_FIELDS)
            hint = _("Did you mean {near}?").format(near=near) + " " if near else ""
            hint += _("The keys are {names}.").format(names=", ".join(_TASK_FIELDS))
            faults.append(Fault((index, field), _("there is no key {name}").format(name=name), hint))
            continue
        values[field], found = convert_value(KEYS[f"data.tasks.{field}"], value, name)
        if not found and field in ("instruction", "input", "output"):
            trouble = check_task_template(str(value))
            if trouble is not None:
                found = [Fault((), f"{name}: {trouble}", _("For example: {author}, {input} or any other column."))]
        faults.extend(Fault((index, field), fault.message, fault.hint) for fault in found)
    if "name" not in content:
        faults.append(Fault((index,), _("{name} has no name").format(name=place), _('Add: name = "…"')))
    return (None, faults) if faults else (Task(**values), faults)


def _with_defaults(good: Mapping[tuple[str, str], object]) -> dict[str, Any]:
    """Every key's value by full name, the defaults where there is no good one."""
    profile = Profile()
    return {
        f"{table}.{field.name}": good.get((table, field.name), getattr(getattr(profile, table), field.name))
        for table, keys_class in _CLASSES.items()
        for field in fields(keys_class)
    }


def _subject(
    keys: tuple[str, ...], values: Mapping[tuple[str, str], object], overrides: Mapping[tuple[str, str], object]
) -> str:
    """Which key of a contradiction to name: one that `--set` brought, else the first that isn't left to its default."""
    for given in (overrides, values):
        for name in keys:
            if tuple(name.split(".")) in given:
                return name
    return keys[0]


def _build(good: Mapping[tuple[str, str], object]) -> Profile:
    tables: dict[str, Any] = {}
    for table, keys_class in _CLASSES.items():
        given: dict[str, Any] = {field: value for (owner, field), value in good.items() if owner == table}
        tables[table] = keys_class(**given)
    return Profile(**tables)

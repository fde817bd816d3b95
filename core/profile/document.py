"""A profile's text ↔ `Profile`: reads files and presets, reports every problem with its line, writes the resolved copy.

TOML is read by tomllib, located by tree-sitter and written by tomli-w. Comments live only in the text, never here.
Relative paths inside a profile are left as they are: they are taken from the current directory.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from core.errors import PoemError
from core.i18n import _
from core.paths import path_of
from core.plain import plain
from core.profile.checks import check_values
from core.profile.lines import KeyPath, find_lines, line_of
from core.profile.overrides import parse_override
from core.profile.presets import SUFFIX, preset_names, preset_text
from core.profile.problem import Problem, problems_error
from core.profile.reference import nearest
from core.profile.schema import Profile
from core.profile.syntax import parse_toml

__all__ = [
    "Problem",
    "check_text",
    "dump_profile",
    "load_profile",
    "preset_names",
    "preset_text",
    "problems_error",
    "profile_from_dict",
    "profile_to_dict",
    "read_profile_text",
]

_LARGEST_BYTES = 1_000_000


def check_text(text: str, *, overrides: Sequence[str] = ()) -> tuple[Profile | None, tuple[Problem, ...]]:
    """Check a profile's text.

    Args:
        text: TOML.
        overrides: `train.epochs=3`, later ones winning; the value is TOML, a bare word is taken as text.

    Returns:
        The profile, None where there is any problem; and every problem, by line, those of overrides last.
    """
    read = parse_toml(text)
    problems = list(read.problems)
    parsed: dict[tuple[str, str], object] = {}
    for override in overrides:
        result = parse_override(override)
        if isinstance(result, Problem):
            problems.append(result)
        else:
            parsed.pop(result[0], None)
            parsed[result[0]] = result[1]

    @functools.cache
    def lines() -> Mapping[KeyPath, int]:
        return find_lines(read.text)

    def find_line(path: KeyPath) -> int | None:
        if any((table, *field.split(".")) == path[: 1 + len(field.split("."))] for table, field in parsed):
            return None
        return line_of(lines(), path)

    # Of a text that can't be read the overrides are still checked.
    profile, more = check_values(read.document or {}, parsed, find_line, partial=bool(problems))
    return profile, _sorted([*problems, *more])


def load_profile(name_or_path: str, *, overrides: Sequence[str] = ()) -> Profile:
    """The profile of a preset's name or a file's path. A path has a separator or ends in `.toml`.

    Raises:
        PoemError: no such file or preset, or a file that is no text; or every problem in it, with lines.
    """
    source, text = read_profile_text(name_or_path)
    profile, problems = check_text(text, overrides=overrides)
    if profile is None:
        raise problems_error(problems, source)
    return profile


def read_profile_text(name_or_path: str) -> tuple[str, str]:
    """What to call a profile in messages, and its text; not checked.

    Raises:
        PoemError: no such file or preset, or a file that is no text.
    """
    is_path = name_or_path.endswith(SUFFIX) or "/" in name_or_path or os.sep in name_or_path
    if not is_path and name_or_path in preset_names():
        return name_or_path, preset_text(name_or_path)
    path = path_of(name_or_path)
    shown = plain(name_or_path)
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise PoemError(
            _("there is no such profile") if is_path else _("there is no preset and no file of that name"),
            hint=_hint_of_names(name_or_path),
            where=shown,
        ) from None
    except IsADirectoryError:
        hint = _("Name a {suffix} file in it.").format(suffix=SUFFIX)
        raise PoemError(_("this is a folder, not a profile"), hint=hint, where=shown) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PoemError(_("can't read the profile: {reason}").format(reason=plain(reason)), where=shown) from None
    if len(content) > _LARGEST_BYTES:
        raise PoemError(
            _("a file of more than 1 MB is no profile"),
            hint=_("Did you give the data file? It is named inside the profile: [data] path."),
            where=shown,
        )
    try:
        return shown, content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PoemError(
            _("not UTF-8: byte {byte} on line {line}").format(byte=f"0x{content[error.start]:02X}", line=line),
            hint=_("Save the profile as UTF-8."),
            where=f"{shown}:{line}",
        ) from None


def profile_to_dict(profile: Profile) -> dict[str, Any]:
    """Tables of plain values, every key there; a task's templates only where it has them."""
    tables = asdict(profile)
    tables["data"]["tasks"] = [
        {field: value for field, value in task.items() if value is not None} for task in tables["data"]["tasks"]
    ]
    return {
        table: {field: list(value) if isinstance(value, tuple) else value for field, value in keys.items()}
        for table, keys in tables.items()
    }


def profile_from_dict(mapping: Mapping[str, Any]) -> Profile:
    """The profile of such tables; keys may be missing.

    Raises:
        PoemError: every problem in them.
    """
    profile, problems = check_values(mapping, {}, lambda path: None)
    if profile is None:
        raise problems_error(problems, "")
    return profile


def dump_profile(profile: Profile) -> str:
    """The resolved profile as TOML: every key, no comments. Reading it gives an equal profile."""
    import tomli_w

    return tomli_w.dumps(profile_to_dict(profile))


def _sorted(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda problem: (problem.line is None, problem.line or 0)))


def _hint_of_names(name_or_path: str) -> str:
    """The nearest profile file beside it or preset, and the presets there are."""
    path = path_of(name_or_path)
    presets = preset_names()
    near = nearest(path.stem, presets)
    if near is None:
        try:
            beside = {found.name: found for found in path.parent.glob(f"*{SUFFIX}")}
        except (OSError, ValueError):
            beside = {}
        name = nearest(path.name, beside)
        near = None if name is None else str(beside[name])
    hint = _("Did you mean {near}?").format(near=plain(near)) + " " if near else ""
    return hint + _("The presets are: {names}.").format(names=", ".join(presets))

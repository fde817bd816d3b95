"""`poemcore profile`: check, show and write profiles, and explain their keys."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import i18n
from core.cli import add_verb, print_json
from core.errors import PoemError
from core.i18n import _
from core.paths import path_of
from core.plain import plain
from core.verbs import profile_fix

if TYPE_CHECKING:
    from core.profile.key import Key
    from core.profile.schema import Profile

_NEW_FROM = "tang-qwen2-1.5b"
_SUFFIX = ".toml"


def add(subparsers: Any) -> None:
    """Declare the verb and its actions."""
    parser = add_verb(subparsers, "profile", _("check, show and write profiles, and explain their keys"), run)
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True)
    check = _add_action(actions, "check", _("find every problem in a profile"), _check)
    check.add_argument("profile", metavar="PROFILE", help=_("a file, or the name of a preset"))
    _add_set(check)
    show = _add_action(actions, "show", _("print a profile with every key and what follows from them"), _show)
    show.add_argument("profile", metavar="PROFILE", help=_("a file, or the name of a preset"))
    _add_set(show)
    new = _add_action(actions, "new", _("write a new profile, comments and all, to edit"), _new)
    new.add_argument("file", metavar="FILE", help=_("where to write it; ends in .toml"))
    new.add_argument(
        "--from",
        dest="preset",
        default=_NEW_FROM,
        metavar="PRESET",
        help=_("the preset to copy (default: {preset})").format(preset=_NEW_FROM),
    )
    new.add_argument("--force", action="store_true", help=_("replace FILE if it exists"))
    fix = _add_action(
        actions, "fix", _("change what the review of a data file advises, comments kept"), profile_fix.run
    )
    profile_fix.add_arguments(fix)
    _add_set(fix)
    keys = _add_action(actions, "keys", _("explain a key, a table's keys, or all"), _keys)
    keys.add_argument("key", nargs="?", metavar="KEY", help=_("a key or table, such as train.epochs or lora"))
    keys.add_argument("--markdown", action="store_true", help=_("print the whole reference as Markdown"))


def run(args: argparse.Namespace) -> int:
    """Do the action that was named."""
    return int(args.do(args))


def _add_action(actions: Any, name: str, help: str, do: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=help, description=help, allow_abbrev=False)
    # The verb takes these before the action; a default here would undo what was given there.
    suppressed = argparse.SUPPRESS
    parser.add_argument("--json", action="store_true", default=suppressed, help=_("print one JSON document on stdout"))
    parser.add_argument("--lang", choices=i18n.LANGUAGES, default=suppressed, help=_("language of messages"))
    parser.set_defaults(do=do)
    return parser


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=_("change one key, such as train.epochs=3; may be given again"),
    )


def _check(args: argparse.Namespace) -> int:
    from core.profile.document import check_text, read_profile_text
    from core.profile.reference import derive

    source, text = read_profile_text(args.profile)
    profile, problems = check_text(text, overrides=args.overrides)
    derived = derive(profile) if profile is not None else {}
    if args.json:
        told = [{"key": one.key, "line": one.line, "message": one.message, "hint": one.hint} for one in problems]
        print_json({"ok": profile is not None, "problems": told, "derived": derived})
    else:
        for problem in problems:
            where = f"{source}:{problem.line}" if problem.line is not None else problem.where or source
            print(f"{where}: {problem.message}")
            if problem.hint:
                print(f"    {problem.hint}")
        if profile is not None:
            print(_("{source}: no problems").format(source=source))
            _print_derived(derived)
    return 0 if profile is not None else 2


def _show(args: argparse.Namespace) -> int:
    from core.profile.document import dump_profile, load_profile, profile_to_dict
    from core.profile.reference import derive

    profile: Profile = load_profile(args.profile, overrides=args.overrides)
    derived = derive(profile)
    if args.json:
        print_json({"profile": profile_to_dict(profile), "derived": derived})
    else:
        print(dump_profile(profile))
        _print_derived(derived)
    return 0


def _print_derived(derived: dict[str, int | float | None]) -> None:
    """What follows from the keys, as TOML comments."""
    for name, value in derived.items():
        shown = _("known when the data is read") if value is None else value
        print(f"# {name} = {shown}")


def _new(args: argparse.Namespace) -> int:
    from core.profile.document import preset_text

    shown = plain(args.file)
    if not args.file.endswith(_SUFFIX):
        raise PoemError(
            _("the name of a profile file ends in {suffix}").format(suffix=_SUFFIX),
            hint=_("Write: {name}").format(name=f"{shown}{_SUFFIX}"),
            where=shown,
        )
    text = preset_text(args.preset)
    path = path_of(args.file)
    try:
        if args.force:
            _replace(path, text)
        else:
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
    except FileExistsError:
        hint = _("Choose another name, or add --force to replace it.")
        raise PoemError(_("the file is there already"), hint=hint, where=shown) from None
    except FileNotFoundError:
        hint = _("Make the folder first.")
        raise PoemError(_("there is no folder {name}").format(name=plain(str(path.parent))), hint=hint) from None
    except (OSError, ValueError) as error:
        reason = plain(getattr(error, "strerror", None) or str(error))
        raise PoemError(_("can't write the profile: {reason}").format(reason=reason), where=shown) from None
    if args.json:
        print_json({"path": args.file, "from": args.preset})
    else:
        print(_("wrote {path}, a copy of {preset}").format(path=shown, preset=args.preset))
    return 0


def _replace(path: Path, text: str) -> None:
    """Write beside the file first: a full disk must not cost the one that is there."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with beside.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _keys(args: argparse.Namespace) -> int:
    from core.profile.page import markdown_page
    from core.profile.reference import DERIVED, KEYS, nearest_key

    if args.markdown:
        if args.key or args.json:
            raise PoemError(_("--markdown prints the whole reference: it takes neither KEY nor --json"))
        print(markdown_page(), end="")
        return 0
    wanted = args.key
    keys = [key for key in KEYS.values() if not wanted or key.name == wanted or key.name.startswith(f"{wanted}.")]
    derived = [one for one in DERIVED.values() if not wanted or one.name == wanted or one.name.startswith(f"{wanted}.")]
    if not keys and not derived:
        near = nearest_key(wanted)
        hint = _("Did you mean {near}?").format(near=near) if near else _("See: poemcore profile keys")
        raise PoemError(_("there is no key {name}").format(name=plain(wanted)), hint=hint)
    if args.json:
        follows = [{"name": one.name, "formula": one.formula, "meaning": _(one.meaning)} for one in derived]
        print_json({"keys": [_key_document(key) for key in keys], "derived": follows})
        return 0
    for key in keys:
        _print_key(key)
    for one in derived:
        print(f"{one.name} = {one.formula}\n    {_(one.meaning)}\n")
    return 0


def _key_document(key: Key) -> dict[str, Any]:
    from core.profile.key import describe_range
    from core.profile.reference import default_of

    return {
        "name": key.name,
        "kind": key.kind,
        "default": default_of(key),
        "unit": _(key.unit),
        "range": describe_range(key),
        "choices": list(key.choices),
        "meaning": _(key.meaning),
        "advice": _(key.advice),
    }


def _print_key(key: Key) -> None:
    from core.profile.key import describe_values
    from core.profile.page import shown_default

    default = shown_default(key)
    print(f"{key.name} = {default}" if default else key.name)
    print(f"    {describe_values(key)}")
    print(f"    {_(key.meaning)}")
    print(f"    {_(key.advice)}\n")

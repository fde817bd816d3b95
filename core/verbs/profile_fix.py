"""`poemcore profile fix`: what the review advises, written into a profile's text, comments kept."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli import print_json
from core.errors import PoemError
from core.i18n import _
from core.paths import path_of
from core.plain import plain

if TYPE_CHECKING:
    from core.advice.rule import Advice
    from core.profile.schema import Profile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the action takes."""
    parser.add_argument("profile", metavar="PROFILE", help=_("a file, or the name of a preset, which is never changed"))
    parser.add_argument("--data", metavar="FILE", help=_("the data to advise for (default: the profile's own)"))
    parser.add_argument(
        "--apply",
        action="extend",
        nargs="+",
        default=[],
        metavar="ID",
        help=_("apply these alone, by the ids that the review shows; may be given again"),
    )
    parser.add_argument("-o", "--out", metavar="FILE", help=_("write there instead; ends in .toml"))
    parser.add_argument("--dry-run", action="store_true", help=_("write nothing"))
    parser.add_argument(
        "--tokenizer", default="", metavar="FOLDER", help=_("count tokens with this where the base isn't here")
    )


def run(args: argparse.Namespace) -> int:
    """Advise, change the text, write it, and say what was changed."""
    from core.advice.advise import advise, json_of
    from core.profile.document import check_text, problems_error, read_profile_text
    from core.profile.edit import set_value
    from core.profile.files import write_profile_text
    from core.review.review import facts_of

    source, before = read_profile_text(args.profile)
    target = _target(args.profile, args.out)
    profile, problems = check_text(before, overrides=args.overrides)
    if profile is None:
        raise problems_error(problems, source)
    facts = facts_of(profile, args.data or profile.data.path, tokenizer=args.tokenizer)
    chosen = _chosen(advise(profile, facts), args.apply)
    text = _with_overrides(before, profile, args.overrides)
    for advice in chosen:
        if advice.fix is not None:
            text = set_value(text, advice.fix.key, advice.fix.value)
    problems = check_text(text)[1]
    if problems:
        raise problems_error(problems, source)
    written = None
    if target is not None and not args.dry_run and (text != before or args.out):
        write_profile_text(target, text)
        written = args.out or args.profile
    if args.json:
        changes = [{name: json_of(one)[name] for name in ("id", "key", "from", "to")} for one in chosen]
        print_json({"changes": changes, "path": written, "text": text})
        return 0
    _tell(chosen, written)
    if not args.out:
        sys.stdout.write(plain(text, keep_newlines=True) if sys.stdout.isatty() else text)
    return 0


def _target(profile: str, out: str | None) -> Path | None:
    """Where the text goes; None for a preset that is only shown.

    Raises:
        PoemError: it is another file than the profile and there already, or no profile's name.
    """
    from core.profile.presets import SUFFIX, preset_names

    if out is None:
        return None if profile in preset_names() else path_of(profile)
    path, shown = path_of(out), plain(out)
    if not out.endswith(SUFFIX):
        raise PoemError(
            _("the name of a profile file ends in {suffix}").format(suffix=SUFFIX),
            hint=_("Write: {name}").format(name=f"{shown}{SUFFIX}"),
            where=shown,
        )
    is_itself = profile not in preset_names() and os.path.realpath(path) == os.path.realpath(path_of(profile))
    if os.path.lexists(path) and not is_itself:
        raise PoemError(_("the file is there already"), hint=_("Choose another name."), where=shown)
    return path


def _chosen(advised: Sequence[Advice], wanted: Sequence[str]) -> list[Advice]:
    """The advice to apply: all that changes something, or that which was asked for.

    Raises:
        PoemError: something was asked for that changes nothing here.
    """
    with_fix = [advice for advice in advised if advice.fix is not None]
    ids = {advice.id for advice in with_fix}
    for id in wanted:
        if id not in ids:
            hint = _("There is nothing to change.")
            if ids:
                hint = _("There are: {ids}.").format(ids=", ".join(dict.fromkeys(one.id for one in with_fix)))
            raise PoemError(_("no advice {id} changes this profile").format(id=plain(id)), hint=hint, where="--apply")
    return [advice for advice in with_fix if not wanted or advice.id in wanted]


def _with_overrides(text: str, profile: Profile, overrides: Sequence[str]) -> str:
    """The text with what `--set` says, so that the advice fits what is written."""
    from core.profile.document import profile_to_dict
    from core.profile.edit import set_value

    tables = profile_to_dict(profile)
    for override in overrides:
        table, field = override.partition("=")[0].strip().split(".")[:2]
        text = set_value(text, f"{table}.{field}", tables[table][field])
    return text


def _tell(changes: Sequence[Advice], written: str | None) -> None:
    for advice in changes:
        if advice.fix is not None:
            before, after = (plain(json.dumps(value, ensure_ascii=False)) for value in (advice.value, advice.fix.value))
            print(f"{advice.fix.key}: {before} → {after}  [{advice.id}]\n    {advice.reason}", file=sys.stderr)
    if not changes:
        print(_("There is nothing to change."), file=sys.stderr)
    if written is None:
        print(_("Nothing was written."), file=sys.stderr)
    else:
        print(_("wrote {path}").format(path=plain(written)), file=sys.stderr)

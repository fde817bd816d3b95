"""`poemcore verse`: judges the poems of a file by the rules of regulated verse."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import add_verb, count, print_json
from core.errors import PoemError
from core.i18n import N_, _
from core.plain import plain

if TYPE_CHECKING:
    from core.verse.judge import Judgement
    from core.verse.tally import Tally

_SHOWN = 5
# Records, where the file's name doesn't say so: an object, or a list that begins with one.
_RECORDS = re.compile(r'\s*(?:\[\s*)?\{\s*"')
_FIGURES = (
    ("form", N_("lines of a regular form")),
    ("rhyme", N_("rhyme")),
    ("rhyme_ping", N_("level-tone rhyme")),
    ("template", N_("tone pattern")),
    ("template_ao", N_("tone pattern, 拗 allowed")),
    ("regulated", N_("regulated")),
)
_CELLS = 40


def add(subparsers: Any) -> None:
    """Declare the verb."""
    parser = add_verb(subparsers, "verse", _("judge poems: form, rhyme group, tone pattern, and every miss"), run)
    parser.add_argument(
        "file",
        metavar="FILE",
        help=_(
            "a text file with one poem a line, a data file (input and output make the poem), or - for standard input"
        ),
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--all", action="store_true", help=_('show every poem; with --json, add them as "poems"'))
    shown.add_argument(
        "--limit",
        type=count,
        default=_SHOWN,
        metavar="N",
        help=_("show at most N poems with misses (default: {count})").format(count=_SHOWN),
    )


def run(args: argparse.Namespace) -> int:
    """Judge all poems, then print figures and misses."""
    from core.verse.judge import judge
    from core.verse.tally import Tally

    tally = Tally()
    shown: list[tuple[int, Judgement]] = []
    for number, poem in _read_poems(args.file):
        judgement = judge(poem)
        tally.add(judgement)
        if args.all or (len(shown) < args.limit and (judgement.misses or not judgement.form)):
            shown.append((number, judgement))
    if args.json:
        poems = {"poems": [_as_json(number, judgement) for number, judgement in shown]} if args.all else {}
        print_json({**tally.document(), **poems})
        return 0
    _print_figures(tally)
    for number, judgement in shown:
        _print_poem(number, judgement)
    return 0


def _read_poems(argument: str) -> Iterator[tuple[int, str]]:
    """The poems with their numbers: of text its lines, from 1; of a data file its rows, from 0."""
    from core.data.records import suffix_format
    from core.data.rows import resolve_data_path
    from core.data.text_file import read_text_file

    if argument == "-":
        path, text = Path(_("standard input")), _read_standard_input()
    else:
        path = resolve_data_path(argument)
        text = read_text_file(path).text
    if suffix_format(path) is not None or _RECORDS.match(text):
        return _rows_of(text, path)
    poems = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not poems:
        raise PoemError(_("there is no poem in it"), hint=_("Give one poem a line."), where=str(path))
    return iter(poems)


def _read_standard_input() -> str:
    content = sys.stdin.buffer.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PoemError(
            _("not UTF-8: byte {byte} at position {position}").format(
                byte=f"0x{content[error.start]:02X}", position=error.start
            ),
            hint=_("Convert it first, such as with: iconv -f GB18030 -t UTF-8"),
            where=_("standard input"),
        ) from None


def _rows_of(text: str, path: Path) -> Iterator[tuple[int, str]]:
    from core.data.columns import choose_columns
    from core.data.formats import read_records
    from core.data.row import BadRow
    from core.data.rows import make_row, names_in, texts_in

    records = read_records(text, path)
    names = names_in(records.values) if records.header is None else records.header
    mapping, _rule = choose_columns(names, None, path, text_columns=texts_in(records.values))
    for number, value in enumerate(records.values):
        row = make_row(number, value, mapping, line=None)
        if isinstance(row, BadRow):
            raise PoemError(
                _("row {row} {problem}").format(row=number, problem=row.problem),
                where=_("{path}, line {line}, row {row}").format(
                    path=path, line=records.lines_of([number])[0], row=number
                ),
            )
        yield number, f"{row.input}\n{row.output}"


def _as_json(number: int, judgement: Judgement) -> dict[str, Any]:
    return {
        "number": number,
        "form": judgement.form or "none",
        "old": judgement.old,
        "groups": list(judgement.groups),
        "pattern": judgement.pattern,
        "rhyme": judgement.rhyme,
        "rhyme_ping": judgement.rhyme_ping,
        "template": judgement.template,
        "template_ao": judgement.template_ao,
        "regulated": judgement.regulated,
        "ao_lines": list(judgement.ao_lines),
        "unknown": judgement.unknown,
        "misses": [
            {
                "line": miss.line,
                "position": miss.position,
                "character": miss.character,
                "rule": miss.rule,
                "due": miss.due,
            }
            for miss in judgement.misses
        ],
    }


def _print_figures(tally: Tally) -> None:
    from core.verse.judge import RULES

    forms = ", ".join(f"{form or _('no verse')} {found.poems:,}" for form, found in tally.forms_by_count())
    print(_("{poems} poems: {forms}").format(poems=f"{tally.everything.poems:,}", forms=forms))
    for name, words in _FIGURES:
        print(f"  {tally.everything.percent(name):5.1f} %  {_(words)}")
    if tally.missed:
        print(_("Poems with a miss:"))
        for rule, poems in tally.missed.most_common():
            print(f"  {100 * poems / tally.everything.poems:5.1f} %  {_(RULES[rule])}")
    if tally.unknown:
        print(
            _("Characters that the rhyme table lacks: {characters}").format(
                characters=_clipped("".join(character for character, _poems in tally.unknown.most_common(_CELLS)))
            )
        )


def _print_poem(number: int, judgement: Judgement) -> None:
    from core.verse.judge import RULES

    verdict = _("regulated") if judgement.regulated else _("in the old style") if judgement.old else ""
    facts = [judgement.form or _("no verse"), "／".join(judgement.groups), judgement.pattern, verdict]
    print(f"\n{number:,}  {_clipped(' '.join(judgement.lines))}")
    print(f"  {' · '.join(fact for fact in facts if fact)}")
    for miss in judgement.misses:
        place = _("line {line}, {position}: {character}").format(
            line=miss.line, position=miss.position, character=plain(miss.character)
        )
        print(f"  {place}  {_(RULES[miss.rule])}{f' → {miss.due}' if miss.due else ''}")
    for line in judgement.ao_lines:
        print(_("  line {line}: 平平仄平仄 (拗)").format(line=line))
    if judgement.unknown:
        print(_("  not in the rhyme table: {characters}").format(characters=_clipped(judgement.unknown)))


def _clipped(text: str) -> str:
    """Untrusted text, safe for a terminal and short enough for a line."""
    return plain(text if len(text) <= _CELLS else text[: _CELLS - 1] + "…")

"""`poemcore convert`: parquet, arrow, saved data sets, hub ids → JSONL, by a child process that may be heavy."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.cli import add_verb, print_json
from core.errors import PoemError
from core.i18n import _
from core.paths import path_of
from core.plain import plain


def add(subparsers: Any) -> None:
    """Declare the verb."""
    parser = add_verb(subparsers, "convert", _("make a JSONL data file of whatever `datasets` reads"), run)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help=_("a .parquet, .arrow, .csv, .tsv, .json or .jsonl file, a saved data set's folder, or a hub id"),
    )
    parser.add_argument("out", metavar="OUT.jsonl", help=_("the new file"))
    parser.add_argument("--split", metavar="NAME", help=_("the split to take (default: train)"))
    parser.add_argument(
        "--columns",
        metavar="FIELD=COLUMN,…",
        default="",
        help=_("which columns become instruction, input and output, such as: output=text,input=title"),
    )
    parser.add_argument("--force", action="store_true", help=_("replace the new file where it exists"))


def run(args: argparse.Namespace) -> int:
    """Convert in a child process and say what was written."""
    from core.convert import check_target, is_hub_id

    columns = _parse_columns(args.columns)
    out = path_of(args.out)
    source = args.source if is_hub_id(args.source) else os.path.expanduser(args.source)
    check_target(source, out, force=args.force)
    wanted = {
        "source": source,
        "out": str(out),
        "split": args.split,
        "columns": columns,
        "force": args.force,
    }
    code, answer = _run_child(wanted, offline=not is_hub_id(source))
    if answer is None:
        if code in (130, -2):
            raise KeyboardInterrupt
        print(_("poemcore: the converting process ended with code {code}").format(code=code), file=sys.stderr)
        return 1
    if "error" in answer:
        error = answer["error"]
        raise PoemError(error["message"], hint=error["hint"], where=error["where"])
    _tell(answer, as_json=args.json)
    return 0


def _parse_columns(text: str) -> dict[str, str]:
    """`output=text,input=title` → field → column; empty for an empty text."""
    from core.data.columns import FIELDS

    columns: dict[str, str] = {}
    for pair in filter(None, text.split(",")):
        field, equals, column = (part.strip() for part in pair.partition("="))
        if not equals or not column or field not in FIELDS or field in columns:
            raise PoemError(
                _("{pair} is not FIELD=COLUMN with a field of its own").format(pair=plain(pair)),
                hint=_("The fields are: {names}").format(names=", ".join(FIELDS)),
                where="--columns",
            )
        columns[field] = column
    return columns


def _run_child(wanted: Mapping[str, Any], *, offline: bool) -> tuple[int, dict[str, Any] | None]:
    """The child's exit code and the JSON it printed; None where it printed none."""
    environment = os.environ | {"PYTHONSAFEPATH": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    if offline:
        environment["HF_HUB_OFFLINE"] = "1"
    if not sys.stderr.isatty():
        environment["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    command = [sys.executable, "-P", "-m", "core.convert", json.dumps(wanted)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, encoding="utf-8") as child:
        try:
            output, _errors = child.communicate()
        except KeyboardInterrupt:
            # It removes its unfinished file before it ends.
            child.terminate()
            raise
    return child.returncode, json.loads(output) if output.strip() else None


def _tell(answer: Mapping[str, Any], *, as_json: bool) -> None:
    from core.data.columns import choose_columns

    if answer["left_out"]:
        names = ", ".join(plain(name) for name in answer["left_out"])
        print(
            _("left out (no text or numbers in it, or its name given to another): {names}").format(names=names),
            file=sys.stderr,
        )
    try:
        choose_columns(answer["columns"], None, Path(answer["path"]), text_columns=answer["columns"])
    except PoemError as error:
        print(f"{error.message}\n{error.hint}", file=sys.stderr)
    if as_json:
        print_json({key: answer[key] for key in ("rows", "columns", "path")})
        return
    print(
        _("rows: {rows}\ncolumns: {names}\nfile: {path}").format(
            rows=f"{answer['rows']:,}",
            path=plain(answer["path"]),
            names=", ".join(plain(name) for name in answer["columns"]),
        )
    )

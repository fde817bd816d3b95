"""`poemtui`: the command line of the app. Settings that Textual reads once, at its import, are made here before it."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from core import __version__, i18n
from core.cli import add_runs_dir
from core.errors import PoemError
from core.i18n import _
from core.paths import path_of
from core.plain import plain
from core.runs.directory import find_run
from core.runs.queue import state_directory
from tui.settings import read_settings, settings_path
from tui.start import Start, start_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the app until it is left: 0; 1 for a fault of the app; 2 for wrong arguments or no terminal."""
    language = argparse.ArgumentParser(prog="poemtui", add_help=False, allow_abbrev=False)
    language.add_argument("--lang", choices=i18n.LANGUAGES)
    i18n.use()
    i18n.use(language.parse_known_args(arguments)[0].lang)  # first, so that --help is in that language too
    about = _("A workbench for teaching a language model to write Tang poems.")
    parser = argparse.ArgumentParser(prog="poemtui", description=about, parents=[language], allow_abbrev=False)
    things_help = _(
        "a data file, or a profile (NAME.toml, or a preset's name), or both; without one, what was open the last time"
    )
    parser.add_argument("things", nargs="*", metavar="FILE", help=things_help)
    parser.add_argument("--run", metavar="RUN", help=_("follow this run: its id, the beginning of one, or last"))
    add_runs_dir(parser)
    parser.add_argument("--no-mouse", action="store_true", help=_("leave the mouse to the terminal"))
    parser.add_argument("--version", action="version", version=f"poemtui {__version__}")
    args = parser.parse_args(arguments)
    try:
        settings = read_settings(settings_path())
        if args.lang is None and settings.lang:
            i18n.use(settings.lang)
        start = _start_of(args)
        state_dir = state_directory()
    except PoemError as error:
        print(plain(str(error), keep_newlines=True), file=sys.stderr)
        return 2
    # Textual draws on stderr.
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        print(_("poemtui needs a terminal; poemcore does the same without one."), file=sys.stderr)
        return 2
    # Textual reads these once, at import; what the person has set stays. With the kitty protocol some terminals drop
    # what an input method composes: nobody could type Chinese.
    os.environ.setdefault("TEXTUAL_DISABLE_KITTY_KEY", "1")
    far = {"ANIMATIONS": "none", "FPS": "20", "SMOOTH_SCROLL": "0"}
    near = {"FPS": "120"}  # a key waits for the next frame, and nothing is drawn that hasn't changed
    for name, value in (far if os.environ.get("SSH_CONNECTION") else near).items():
        os.environ.setdefault(f"TEXTUAL_{name}", value)
    gc.disable()  # until the first frame is there: what starting makes is no garbage, and looking for it takes time
    from tui.app import PoemApp

    # Threads that read beside the screen's work give way to a key after a millisecond, not after Python's five.
    sys.setswitchinterval(0.001)
    app = PoemApp(start, runs_dir=_runs_dir(args), settings=settings, state_dir=state_dir)
    app.run(mouse=not args.no_mouse)
    return app.return_code or 0


def _runs_dir(args: argparse.Namespace) -> Path:
    return path_of(args.runs_dir)


def _start_of(args: argparse.Namespace) -> Start:
    """What to open; all of it is there.

    Raises:
        PoemError: something isn't, or there are two of a kind.
    """
    start = start_of(args.things)
    if len(args.things) > (1 if not (start.data and start.profile) else 2):
        raise PoemError(_("one data file and one profile can be opened at a time"), hint=_("See poemtui --help."))
    if start.data:
        from core.data.rows import resolve_data_path

        path = resolve_data_path(start.data)
        if not os.path.isfile(path):
            hint = _("Name a JSON, JSONL, CSV or TSV file.")
            message = _("it is no ordinary file") if os.path.exists(path) else _("there is no such file")
            raise PoemError(message, hint=hint, where=plain(start.data))
    if start.profile:
        from core.paths import refuse_pipe
        from core.profile.document import preset_names, read_profile_text

        if start.profile not in preset_names():
            refuse_pipe(path_of(start.profile))
        read_profile_text(start.profile)
    if args.run is None:
        return start
    return start_of(args.things, find_run(_runs_dir(args), args.run).id)


if __name__ == "__main__":
    sys.exit(main())

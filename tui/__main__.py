"""`poemtui`: the command line of the app. Settings that Textual reads once, at its import, are made here before it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from core import __version__, i18n
from core.cli import add_runs_dir
from core.data.rows import SAMPLE
from core.i18n import _


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the app until it is left: 0; 1 for a fault of the app; 2 for wrong arguments or no terminal."""
    language = argparse.ArgumentParser(prog="poemtui", add_help=False, allow_abbrev=False)
    language.add_argument("--lang", choices=i18n.LANGUAGES)
    i18n.use()
    i18n.use(language.parse_known_args(arguments)[0].lang)  # first, so that --help is in that language too
    about = _("A workbench for teaching a language model to write Tang poems.")
    parser = argparse.ArgumentParser(prog="poemtui", description=about, parents=[language], allow_abbrev=False)
    file_help = _("data file to open (default: the bundled sample)")
    parser.add_argument("file", nargs="?", default=SAMPLE, metavar="FILE", help=file_help)
    add_runs_dir(parser)
    parser.add_argument("--no-mouse", action="store_true", help=_("leave the mouse to the terminal"))
    parser.add_argument("--version", action="version", version=f"poemtui {__version__}")
    args = parser.parse_args(arguments)
    # Textual draws on stderr.
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        print(_("poemtui needs a terminal; poemcore does the same without one."), file=sys.stderr)
        return 2
    # Textual reads these once, at import; what the person has set stays. With the kitty protocol some terminals drop
    # what an input method composes: nobody could type Chinese.
    os.environ.setdefault("TEXTUAL_DISABLE_KITTY_KEY", "1")
    if os.environ.get("SSH_CONNECTION"):
        for name, value in (("ANIMATIONS", "none"), ("FPS", "20"), ("SMOOTH_SCROLL", "0")):
            os.environ.setdefault(f"TEXTUAL_{name}", value)
    from tui.app import PoemApp

    app = PoemApp(args.file, runs_dir=Path(args.runs_dir).expanduser())
    app.run(mouse=not args.no_mouse)
    return app.return_code or 0


if __name__ == "__main__":
    sys.exit(main())

"""The paths that people type."""

from __future__ import annotations

import os
from pathlib import Path

from core.errors import PoemError
from core.i18n import _
from core.plain import plain


def path_of(text: str) -> Path:
    """The path that is meant: `~` and `~user` are that home folder, where there is such a user."""
    return Path(os.path.expanduser(text))


def refuse_pipe(path: Path) -> None:
    """Refuse what nobody can wait for: reading a pipe takes until somebody writes to it.

    Raises:
        PoemError: it is there, and neither a file nor a folder.
    """
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise PoemError(_("it is no ordinary file"), where=plain(str(path)))

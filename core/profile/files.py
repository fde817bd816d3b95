"""A profile's text to its file: whole or not at all, through links, with the permissions that the file has."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from core.errors import PoemError
from core.i18n import _
from core.plain import plain


def write_profile_text(path: Path, text: str) -> None:
    """Write a text as it stands.

    Raises:
        PoemError: it can't be written; what was there is still there.
    """
    temporary = None
    try:
        content = text.encode("utf-8")
        target = Path(os.path.realpath(path))
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
        with open(target.with_name(f".{target.name}.{os.getpid()}.new"), "xb") as file:
            temporary = Path(file.name)
            if mode is not None:
                temporary.chmod(mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except (OSError, ValueError) as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or str(error)
        raise PoemError(
            _("can't write the profile: {reason}").format(reason=plain(reason)),
            hint=_("Save it in another place."),
            where=plain(str(path)),
        ) from error

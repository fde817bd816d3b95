"""What the keys of `[notify]` mean, may be and should be."""

from __future__ import annotations

from core.i18n import N_
from core.profile.key import Key

NOTIFY = (
    Key(
        "notify.command",
        "text",
        N_(
            "A program and its arguments, run when a run has finished, stopped or failed. It is split "
            "into words as a shell would, but no shell runs it. Empty: none."
        ),
        N_(
            "It finds the run in its environment: POEMTUI_RUN, POEMTUI_STATUS, POEMTUI_STEP, "
            "POEMTUI_EVAL_LOSS, POEMTUI_MESSAGE and more. A script of your own, by its full path, can "
            "send them as mail or as a message to your phone. It gets a minute."
        ),
        may_be_empty=True,
        is_command=True,
    ),
)

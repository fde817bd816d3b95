"""The first-run screen: what is here, and three ways to begin."""

from __future__ import annotations

from core.i18n import _
from tui.widgets.dialogs import Choose

_ANSWERS = ("sample", "data", "model")


class Welcome(Choose):
    """Offers the bundled sample and built-in base, a data file, a model folder."""

    def __init__(self) -> None:
        """The screen."""
        text = _(
            "Teach a language model to write Tang poems: look at the data, adjust the profile, train, complete.\n"
            "Everything works without a network. F1 explains each pane, ctrl+p finds every action, 1 to 5 change panes."
        )
        choices = [
            _("Begin with the 400 bundled poems and the built-in small model"),
            _("Open a data file of my own …"),
            _("Choose a model folder of my own …"),
        ]
        super().__init__(_("Welcome to poemtui"), choices, text=text)

    @staticmethod
    def answer(position: int | None) -> str:
        """What was chosen: sample, data or model; closing it is the first."""
        return _ANSWERS[position or 0]

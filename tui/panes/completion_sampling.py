"""The sampling controls: the profile's `[generation]` in a line or two. It asks for changes and makes none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.binding import Binding
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widgets import Static

from core.i18n import N_, _
from tui.plain import content

if TYPE_CHECKING:
    from core.profile.schema import GenerationKeys

ORDER = (
    "temperature",
    "top_p",
    "top_k",
    "repetition_penalty",
    "no_repeat_ngram_size",
    "max_new_tokens",
    "count",
    "seed",
)
_GAP = "  "
_FINE_STEP = 0.05
_SELECTED = "bold $block-cursor-foreground on $block-cursor-background"


@dataclass(frozen=True, slots=True)
class Setting:
    """One control."""

    key: str
    """Without its table: `top_p`."""
    value: str
    """As it is shown."""


def settings_of(keys: GenerationKeys, *, new_seed: bool) -> tuple[Setting, ...]:
    """What is in force; a seed that is drawn anew each time is said to be."""
    found = {key: shown_value(getattr(keys, key)) for key in ORDER}
    if new_seed:
        found["seed"] = _("new each time")
    return tuple(Setting(key, found[key]) for key in ORDER)


def shown_value(value: float) -> str:
    """A value as a person would type it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


class SamplingStrip(Static, can_focus=True):
    """The controls, one of them selected while it has the focus."""

    BINDINGS = [
        Binding("down,j", "select(1)", N_("Next setting"), id="complete.setting.next", show=False),
        Binding("up,k", "select(-1)", N_("Previous setting"), id="complete.setting.previous", show=False),
        Binding("right,plus,equals_sign", "step(1)", N_("Raise it"), id="complete.setting.raise", show=False),
        Binding("left,minus", "step(-1)", N_("Lower it"), id="complete.setting.lower", show=False),
        Binding("enter", "type", N_("Type it"), id="complete.setting.type", key_display="⏎"),
    ]

    @dataclass
    class Stepped(Message):
        """A value shall be the next one up (1) or down (-1)."""

        key: str
        direction: int

    @dataclass
    class Typed(Message):
        """A value shall be typed."""

        key: str

    class Moved(Message):
        """Another setting is selected, or the focus came or went."""

    def __init__(self, *, id: str) -> None:
        """No controls yet."""
        super().__init__(id=id)
        self._settings: tuple[Setting, ...] = ()
        self._note = ""
        self._at = 0
        self._column = False
        self._painted: Content | None = None
        self._places: list[tuple[int, int, int]] = []

    @property
    def key(self) -> str:
        """The selected setting's key."""
        return ORDER[self._at]

    def show(self, settings: Iterable[Setting], note: str = "") -> None:
        """Show other values; `note` says why there are none."""
        self._settings, self._note = tuple(settings), note
        self._paint()

    def stand(self, upright: bool) -> None:
        """A setting to a line, or as many as fit."""
        if upright != self._column:
            self._column = upright
            self._paint()

    def on_resize(self) -> None:
        """Lay the controls out anew."""
        self._paint()

    def on_focus(self) -> None:
        """Show which is selected."""
        self._paint()
        self.post_message(self.Moved())

    def on_blur(self) -> None:
        """None is selected."""
        self._paint()
        self.post_message(self.Moved())

    def _paint(self) -> None:
        lines: list[list[Content]] = [[]]
        self._places, used = [], 0
        room = max(1, self.content_size.width)
        for at, setting in enumerate(self._settings):
            gap = " " * max(1, room - cell_len(setting.key + setting.value)) if self._column else " "
            cells = cell_len(setting.key + gap + setting.value)
            if lines[-1] and (self._column or used + cells > room):
                lines.append([])
                used = 0
            self._places.append((len(lines) - 1, used, used + cells))
            selected = self.has_focus and at == self._at
            lines[-1].append(
                Content.styled(f"{setting.key}{gap}{setting.value}", _SELECTED)
                if selected
                else Content.assemble(setting.key, gap, (setting.value, "bold $foreground"))
            )
            used += cells + len(_GAP)
        painted = Content("\n").join(Content(_GAP).join(line) for line in lines)
        if not self._settings:
            painted = content(self._note, "$text-warning")
        if painted != self._painted or self._painted is None or painted.spans != self._painted.spans:
            self._painted = painted
            self.update(painted)

    def action_select(self, settings: int) -> None:
        """Select another setting; after the last comes the first."""
        self._at = (self._at + settings) % len(ORDER)
        self._paint()
        self.post_message(self.Moved())

    def action_step(self, direction: int) -> None:
        """Ask for the next value."""
        self.post_message(self.Stepped(self.key, direction))

    def action_type(self) -> None:
        """Ask for a value."""
        self.post_message(self.Typed(self.key))

    def on_click(self, event: Click) -> None:
        """Select the setting that was clicked."""
        for at, (line, start, end) in enumerate(self._places):
            if event.y == line and start <= event.x - self.gutter.left < end:
                self._at = at
                self._paint()
                self.post_message(self.Moved())


def next_value(key: str, value: float, direction: int) -> float:
    """The value a step up (1) or down (-1), within its range: a seed by one, odds and penalties by 0.05."""
    from core.profile.edit import step_value
    from core.profile.reference import KEYS

    known = KEYS[f"generation.{key}"]
    step: float = _FINE_STEP if known.kind == "number" else 1
    if known.kind != "number" and key != "seed":
        stepped: float = step_value(known, value, direction)
        return stepped
    assert known.low is not None and known.high is not None
    wanted = min(round(value + direction * step, 10), type(value)(known.high))
    return value if known.low_open and wanted <= known.low else max(wanted, type(value)(known.low))


def value_of(key: str, typed: str) -> float:
    """The value that was typed, of the key's own type; it has been checked."""
    from core.profile.reference import KEYS

    return int(typed) if KEYS[f"generation.{key}"].kind == "integer" else float(typed)


def check_value(key: str, typed: str) -> str:
    """What is wrong with a value that was typed; empty: nothing."""
    from core.profile.document import check_text

    given = typed.strip() or "?"  # what is empty would be taken as a text, too
    _profile, problems = check_text("", overrides=[f"generation.{key}={given}"])
    return " ".join(text for text in (problems[0].message, problems[0].hint) if text) if problems else ""

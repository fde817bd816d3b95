"""Who writes and how: a run's adapter or the base alone, the base beside it, the sampling, the seed, the script."""

from __future__ import annotations

from dataclasses import dataclass, replace

from textual import on, work
from textual.binding import Binding
from textual.message import Message

from core.i18n import N_, _
from tui import messages
from tui.panes import completion_adapters as adapters
from tui.panes import completion_words as words
from tui.panes.completion_field import FirstLines
from tui.panes.completion_keeping import KeepingPane
from tui.panes.completion_sampling import SamplingStrip, check_value, next_value, value_of
from tui.panes.completion_sheet import PoemSheet
from tui.panes.completion_wish import Wish, base_of, seen_run
from tui.plain import fit
from tui.widgets.dialogs import Ask, Choose
from tui.wording import short_id
from tui.workbench import RunSeen


class ChoosingPane(KeepingPane):
    """A pane with a field, sampling controls and poems, in which a person chooses how the next ones are written."""

    BINDINGS = [
        Binding("r,ctrl+r", "writer", N_("Writer"), id="complete.writer", key_display="^r"),
        Binding("b,ctrl+o", "base", N_("Base beside the adapter, or not"), id="complete.base", show=False),
        Binding("g,ctrl+g", "sampling", N_("Sampling"), id="complete.sampling", key_display="^g"),
        Binding("n,ctrl+n", "new_seed", N_("A new seed each time, or a fixed one"), id="complete.seed", show=False),
        Binding("f", "keep_seed", N_("Fix the seed of this poem"), id="complete.seed.keep", show=False),
        Binding("x,ctrl+t", "convert", N_("Traditional characters, or as typed"), id="complete.convert", show=False),
    ]

    @dataclass
    class AdaptersSeen(Message):
        """What a run keeps to complete with."""

        run_id: str
        offers: tuple[adapters.Offer, ...]
        """Empty: there is no choice."""

    def __init__(self, *, id: str) -> None:
        """The usual wishes."""
        super().__init__(id=id)
        self.wish = Wish()

    def settings_changed(self) -> None:
        """The wish or the profile is not what it was."""
        raise NotImplementedError

    def action_field(self) -> None:
        """Type."""
        raise NotImplementedError

    def use_run(self, run_id: str, adapter: str = "") -> None:
        """Complete with a run's adapter from now on: its own choice, or the one that is named."""
        self.wish = replace(self.wish, run=run_id, adapter=adapter)
        self.settings_changed()
        self.action_field()

    def action_writer(self) -> None:
        """Choose whose adapter writes, or the base alone."""
        runs = [run for run in self.workbench.runs if adapters.has_adapter(run.view)]
        ids = ["", *(run.id for run in runs)]
        base = base_of(self.workbench, "")
        choices = [_("the base alone: {base}").format(base=base or "–")]
        choices += [f"{fit(run.id, 34)} {adapters.adapter_words(run.view)}" for run in runs]
        text = "" if runs else _("No run has an adapter yet. Train one: 3")
        at = ids.index(self.wish.run) if self.wish.run in ids else 0

        def choose(answer: int | None) -> None:
            if answer is not None:
                run_id = ids[answer]
                self.use_run(run_id, self.wish.adapter if run_id == self.wish.run else "")
                run = seen_run(self.workbench, run_id)
                if run is not None and adapters.may_have_several(run.view):
                    self._look_for_adapters(run)

        self.app.push_screen(Choose(_("Who writes?"), choices, text=text, at=at), choose)

    @work(thread=True, exclusive=True, group="adapters", exit_on_error=False)
    def _look_for_adapters(self, run: RunSeen) -> None:
        self.post_message(self.AdaptersSeen(run.id, adapters.offers_of(run.path, run.view)))

    @on(AdaptersSeen)
    def _offer_adapters(self, event: AdaptersSeen) -> None:
        """Ask which of them writes; who closes the question leaves it as it is."""
        names = [offer.name for offer in event.offers]
        if not names or event.run_id != self.wish.run:
            return

        def choose(answer: int | None) -> None:
            if answer is not None:
                self.use_run(event.run_id, names[answer])

        title = _("Which adapter of {run}?").format(run=short_id(event.run_id))
        at = names.index(self.wish.adapter) if self.wish.adapter in names else 0
        self.app.push_screen(Choose(title, [offer.words for offer in event.offers], at=at), choose)

    def action_base(self) -> None:
        """Put the base beside the adapter, with the same seeds, or leave it off."""
        self.wish = replace(self.wish, with_base=not self.wish.with_base)
        if not self.wish.run:
            self.tell(_("The base writes alone until you choose an adapter: ^r."), severity="information")
        self.settings_changed()

    def action_sampling(self) -> None:
        """To the sampling controls, and back to the field."""
        strip = self.query_one(SamplingStrip)
        self.screen.set_focus(self.query_one(FirstLines) if strip.has_focus else strip)

    @on(SamplingStrip.Stepped)
    def _step(self, event: SamplingStrip.Stepped) -> None:
        profile = self.workbench.profile_state.profile
        if profile is not None:
            self._set(event.key, next_value(event.key, getattr(profile.generation, event.key), event.direction))

    @on(SamplingStrip.Typed)
    def _type(self, event: SamplingStrip.Typed) -> None:
        profile, key = self.workbench.profile_state.profile, event.key
        if profile is None:
            return

        def take(answer: str | None) -> None:
            if answer is not None:
                self._set(key, value_of(key, answer))

        value = f"{getattr(profile.generation, key)}"
        ask = Ask(key, text=words.setting_words(key), value=value, check=lambda typed: check_value(key, typed))
        self.app.push_screen(ask, take)

    def _set(self, key: str, value: float) -> None:
        if key == "seed":
            self.wish = replace(self.wish, new_seed=False)
        self.post_message(messages.SetKeys({f"generation.{key}": value}))
        self.settings_changed()

    def action_new_seed(self) -> None:
        """Draw a new seed for each completion, or take the profile's."""
        self.wish = replace(self.wish, new_seed=not self.wish.new_seed)
        self.settings_changed()

    def action_keep_seed(self) -> None:
        """Take the seed of the poem under the cursor for the next completions, so that it can be repeated."""
        poem = self.query_one(PoemSheet).poem
        if poem is not None:
            self._set("seed", poem.seed)

    def action_convert(self) -> None:
        """Complete what is typed in Simplified characters in Traditional ones, as the poems are, or as it is."""
        self.wish = replace(self.wish, convert=not self.wish.convert)
        if self.query_one(FirstLines).conversion is None:
            on_, off = _("Simplified text is completed in Traditional characters."), _("Text is completed as typed.")
            self.tell(on_ if self.wish.convert else off, severity="information")
        self.settings_changed()

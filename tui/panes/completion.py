"""The Complete pane: the first lines in, poems out as they are written, the base beside an adapter; good ones are kept.

The model is in a process of its own; this pane asks it, shows what it says and remembers what came of it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.events import Resize
from textual.timer import Timer
from textual.widgets import Input, Static

from core.errors import PoemError
from core.i18n import N_, _
from tui.keys import keys_of
from tui.panes import completion_words as words
from tui.panes.completion_adapters import BEST, AdapterGone, short_words
from tui.panes.completion_choosing import ChoosingPane
from tui.panes.completion_field import EarlierList, FirstLines
from tui.panes.completion_history import Entry, Poem, awaited, from_state, stopped, to_state, with_written
from tui.panes.completion_sampling import SamplingStrip, settings_of
from tui.panes.completion_sheet import PoemSheet
from tui.panes.completion_wish import base_of, make_request, seen_run, wish_of
from tui.plain import content
from tui.widgets.row_list import Cells
from tui.wording import short_id

if TYPE_CHECKING:
    from core.client import CompletionRequest, Written
    from tui.app import PoemApp

_PAINT_S = 0.1
_ENTRIES_HELD = 200
_LINE_CELLS = 16  # a line of seven characters and its comma
_ONE_LINE = ("complete-head", "complete-status")
_TOLD_FIRST = ("writer", "base", "sampling", "seed", "copy", "save", "earlier", "poems", "field")


class CompletionPane(ChoosingPane):
    """Field, sampling controls, poems and the list of earlier completions."""

    TITLE: ClassVar[str] = N_("Complete")
    HELP: ClassVar[str] = N_(
        "Type the first line or couplet of a poem and press Enter; the model writes the rest while you watch. Choose "
        "whose adapter writes, put the base beside it with the same seeds, and change the profile's [generation] in "
        "place. In the field letters are text, so every action has a Ctrl key too; Escape stops the writing, then "
        "leaves the field. Walk through the poems with the arrow keys, copy one or keep it as a row for training."
    )
    FOCUS_FIRST: ClassVar[str] = "#complete-text"
    BINDINGS = [
        Binding("escape", "cancel", N_("Stop"), id="complete.cancel"),
        Binding("enter", "write", N_("Write again"), id="complete.write", show=False),
        Binding("i,slash", "field", N_("To the field"), id="complete.field", show=False),
        Binding("l,ctrl+l", "earlier_list", N_("Earlier completions"), id="complete.earlier", show=False),
        Binding("up", "recall(1)", N_("Earlier line"), id="complete.recall.earlier", show=False),
        Binding("down", "recall(-1)", N_("Later line"), id="complete.recall.later", show=False),
        Binding("p", "poems", N_("To the poems"), id="complete.poems", show=False),
        Binding("u", "free", N_("Free the device"), id="complete.free", show=False),
    ]

    def __init__(self, *, id: str) -> None:
        """The pane; the model is asked for at the first completion."""
        super().__init__(id=id)
        self._entries: list[Entry] = []
        self._shown = 0
        self._request_number = 0
        self._writing = False
        self._was_loaded = self._freed = False
        self._problem = ""
        self._paint_timer: Timer | None = None
        self._paint_wanted = False
        self._said: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        """Who writes, the field, the controls, the poems, how it goes."""
        yield Static(id="complete-head", classes="head")
        yield FirstLines(_("the first line or couplet; Enter writes the rest"), id="complete-text")
        yield Static(id="complete-hint")
        yield Static(id="complete-problem")
        with Container(id="complete-body"):
            with Container(id="complete-side"):
                yield SamplingStrip(id="complete-sampling")
                yield EarlierList(id="complete-earlier")
            yield PoemSheet(id="complete-poems")
        yield Static(id="complete-status")

    def on_mount(self) -> None:
        """Show what there is, and watch what all panes share."""
        changed = cast("PoemApp", self.app).settings.keys
        keys = {found.id: found for cls in type(self).__mro__ for found in keys_of(cast(Any, cls), changed)}
        note = words.first_words(keys[f"complete.{name}"] for name in _TOLD_FIRST)
        self.query_one(PoemSheet).note(tuple(note))
        for name in ("profile_state", "runs", "model_state"):
            self.watch(self.workbench, name, self.settings_changed, init=False)
        self.settings_changed()

    def on_resize(self, event: Resize) -> None:
        """The controls stand in a column where there is one."""
        super().on_resize(event)
        self.query_one(SamplingStrip).stand(self.has_class("-wide"))

    # -- what is shown

    def _say(self, widget: str, text: str) -> None:
        if self._said.get(widget) != text:
            self._said[widget] = text
            found = self.query_one(f"#{widget}", Static)
            found.update(content(text), layout=widget not in _ONE_LINE)
            found.set_class(bool(text), "-some")

    def settings_changed(self) -> None:
        """The profile, the runs or the model process are not what they were."""
        model, profile = self.workbench.model_state, self.workbench.profile_state
        if model is not None and model.loaded:
            self._was_loaded, self._freed = True, False
        strip = self.query_one(SamplingStrip)
        if profile.profile is not None:
            strip.show(settings_of(profile.profile.generation, new_seed=self.wish.new_seed))
        elif profile.problems:
            strip.show((), _("The profile has problems, so its [generation] can't be read. Mend it: 2"))
        elif not profile.source:
            strip.show((), _("No profile is open."))
        self.show_words()

    def show_words(self) -> None:
        """Say who writes, what is in the way, how it goes."""
        bench, wish = self.workbench, self.wish
        run, base = seen_run(bench, wish.run), base_of(bench, wish.run)
        self._say("complete-head", words.writer_words(wish.run, wish.adapter, run, base, beside=wish.with_base))
        model = bench.model_state
        self._say("complete-problem", self._problem or (model.problem if model is not None else ""))
        entry = self._entries[self._shown] if self._entries else None
        told = [
            _("writing, esc stops") if self._writing else "",
            words.progress_words(entry),
            words.model_words(model, bench.runs, was_loaded=self._was_loaded, freed=self._freed),
        ]
        self._say("complete-status", " · ".join(part for part in told if part))
        self._show_hint()

    def _show_hint(self) -> None:
        strip, conversion = self.query_one(SamplingStrip), self.query_one(FirstLines).conversion
        hint = words.setting_words(strip.key) if strip.has_focus else ""
        if not hint and conversion is not None:
            hint = words.conversion_words(conversion, convert=self.wish.convert)
        self._say("complete-hint", hint)

    def _paint(self, *, other: bool = False) -> None:
        self.query_one(PoemSheet).show(self._entries[self._shown] if self._entries else None, other=other)
        self.show_words()

    def _paint_soon(self) -> None:
        """Paint now, or when the last painting is a moment ago."""
        self._paint_wanted = self._paint_timer is not None
        if self._paint_timer is None:
            self._paint_timer = self.set_timer(_PAINT_S, self._paint_due)
            self._paint()

    def _paint_due(self) -> None:
        self._paint_timer = None
        if self._paint_wanted:
            self._paint_soon()

    def _list_entries(self) -> None:
        self.set_class(bool(self._entries), "-some")
        self.query_one(EarlierList).show(len(self._entries), self._cells, cursor=self._shown)

    def _cells(self, index: int) -> Cells:
        entry = self._entries[index]
        writer = short_id(entry.run) if entry.run else entry.base or _("base")
        adapter = short_words(entry.adapter, is_best=entry.is_best)
        return ((entry.text, _LINE_CELLS), (f"{adapter} · {writer}" if adapter else writer, 40))

    @on(FirstLines.ScriptSeen)
    @on(SamplingStrip.Moved)
    @on(Input.Changed, "#complete-text")
    def _hint_changed(self) -> None:
        self._show_hint()

    # -- writing

    @on(Input.Submitted, "#complete-text")
    def action_write(self) -> None:
        """Complete what is in the field; what is being written makes way."""
        text = self.query_one(FirstLines).value.strip()
        if not text:
            self._fail(_("Type the first line or couplet of a poem."))
        elif not self.wish.run and self.workbench.profile_state.profile is None:
            self._fail(_("The profile that names the model has problems. Mend it (2), or choose a run's adapter: ^r."))
        else:
            self._request_number += 1
            self._problem, self._writing = "", True
            self._write(self._request_number, text)
            self.show_words()
            self.refresh_bindings()

    def _fail(self, problem: str) -> None:
        """Say what is in the way; empty: nothing any more."""
        self._problem = problem
        self.show_words()

    @work(exclusive=True, group="complete", exit_on_error=False)
    async def _write(self, number: int, text: str) -> None:
        from core.client import Superseded

        wish, problem = self.wish, ""
        try:
            request = await make_request(self.workbench, wish, text)
            self._began(wish.run, request)
            stream = cast("AsyncGenerator[Written, None]", self.workbench.model.complete(request))
            async with aclosing(stream) as snapshots:  # leaving it cancels
                async for written in snapshots:
                    before, self._entries[0] = self._entries[0], with_written(self._entries[0], written)
                    if self._entries[0].adapter != before.adapter:
                        self._list_entries()
                    self._paint_soon()
        except Superseded:
            pass
        except AdapterGone as error:
            problem = str(error)
            if self.wish == wish:
                self.wish = replace(wish, adapter="")
        except PoemError as error:
            problem = str(error)
        finally:
            if number == self._request_number:  # else a later one has begun, and the pane is its
                self._problem = problem
                self._ended()

    def _began(self, run: str, request: CompletionRequest) -> None:
        entry = awaited(
            request.text,
            run=run,
            base=base_of(self.workbench, run),
            with_base=request.with_base,
            count=request.count,
            seed=request.seed,
            is_best=request.adapter == BEST,
        )
        self._entries = [entry, *(stopped(earlier) for earlier in self._entries)][:_ENTRIES_HELD]
        self._shown = 0
        self._list_entries()
        self.remove_class("-listing")
        self._paint(other=True)
        self.refresh_bindings()

    def _ended(self) -> None:
        self._writing = False
        if self._entries:
            self._entries[0] = stopped(self._entries[0])
        self._paint()
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape stops what is being written, or closes the list over the poems; else it is the frame's."""
        if action == "cancel":
            return self._writing or self.has_class("-listing")
        return super().check_action(action, parameters)

    def action_cancel(self) -> None:
        """Stop at once."""
        if self._writing:
            self._request_number += 1
            self.workers.cancel_group(self, "complete")
            self._ended()  # the worker may not even have begun
        else:
            self.action_poems()

    async def action_free(self) -> None:
        """Drop the model, so that others have the device."""
        if self.workbench.model_state is not None:
            self._freed = True
            await self.workbench.model.unload()
        self.show_words()

    # -- where the keys go

    def action_field(self) -> None:
        """Type."""
        self._close_list()
        self.screen.set_focus(self.query_one(FirstLines))

    def action_poems(self) -> None:
        """Walk through the poems."""
        self._close_list()
        self.screen.set_focus(self.query_one(PoemSheet))

    def action_recall(self, back: int) -> None:
        """Put an earlier line into the field."""
        self.query_one(FirstLines).recall((entry.text for entry in self._entries), back)

    def action_earlier_list(self) -> None:
        """To the list of earlier completions, which in a narrow pane takes the place of the poems; and back."""
        earlier = self.query_one(EarlierList)
        if earlier.has_focus or not self._entries:
            self.action_field()
        else:
            self.add_class("-listing")
            self.screen.set_focus(earlier)
            self.refresh_bindings()

    @on(EarlierList.Opened)
    def _open(self) -> None:
        self._shown = self.query_one(EarlierList).cursor or 0
        self._close_list()
        self._paint(other=True)
        self.screen.set_focus(self.query_one(PoemSheet))

    def _close_list(self) -> None:
        self.remove_class("-listing")
        self.refresh_bindings()

    def shown_poem(self) -> tuple[Entry, Poem] | None:
        """The poem under the cursor, if anything of it is written."""
        poem = self.query_one(PoemSheet).poem
        return (self._entries[self._shown], poem) if poem is not None and poem.text else None

    # -- from one start to the next

    def state(self) -> Mapping[str, Any]:
        """The text, the wishes and the last completions."""
        return {
            "text": self.query_one(FirstLines).value,
            "run": self.wish.run,
            "adapter": self.wish.adapter,
            "with_base": self.wish.with_base,
            "new_seed": self.wish.new_seed,
            "convert": self.wish.convert,
            "save_path": self.save_path,
            "history": to_state(self._entries),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up such a state; it comes from a file and may be anything."""
        self.wish = wish_of(state)
        text, path = state.get("text"), state.get("save_path")
        self.query_one(FirstLines).put(text if isinstance(text, str) else "")
        if isinstance(path, str) and path:
            self.offer_path(path)
        self._entries = list(from_state(state.get("history")))
        self._list_entries()
        self._paint(other=True)

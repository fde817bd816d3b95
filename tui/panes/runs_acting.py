"""What a person can do with the run under the cursor: watch, use, go on, end, reorder, delete. It knows no table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textual import on, work
from textual.binding import Binding
from textual.message import Message
from textual.worker import get_current_worker

from core.errors import PoemError
from core.i18n import N_, _
from core.runs.directory import RunDirectory
from core.runs.view import RunView
from tui import messages
from tui.pane import Pane
from tui.panes.runs_table import Listed
from tui.widgets.dialogs import Choose, Confirm

_AT_WORK = ("starting", "running", "paused")
_OF_A_RUN = (
    "follow", "complete", "profile", "go_on", "end", "move", "delete", "copy_path", "command_line", "mark", "compare",
)  # fmt: skip
"""What is done to the run under the cursor."""


class ActingPane(Pane):
    """A pane with a run under its cursor."""

    BINDINGS = [
        Binding("enter", "follow", N_("Follow"), id="runs.follow"),
        Binding("a", "complete", N_("Complete"), id="runs.complete"),
        Binding("p", "profile", N_("Open its profile in the editor"), id="runs.profile", show=False),
        Binding("r", "go_on", N_("Resume"), id="runs.resume"),
        Binding("x", "end", N_("Stop"), id="runs.stop"),
        Binding("X", "end(True)", N_("Stop at once, without saving"), id="runs.stop_now", show=False),
        Binding("K,plus", "move(-1)", N_("Earlier in the queue"), id="runs.earlier", show=False),
        Binding("J,minus", "move(1)", N_("Later in the queue"), id="runs.later", show=False),
        Binding("d,delete", "delete", N_("Delete: move to the trash"), id="runs.delete", show=False),
        Binding("u", "bring_back", N_("Bring back what was deleted last"), id="runs.undo", show=False),
        Binding("E", "empty_trash", N_("Empty the trash"), id="runs.empty_trash", show=False),
        Binding("y", "copy_path", N_("Copy the path of its directory"), id="runs.path", show=False),
        Binding("l", "command_line", N_("Copy a command line"), id="runs.command", show=False),
    ]

    @dataclass
    class Done(Message):
        """Something about the runs or their queue may have been changed."""

    @dataclass
    class BroughtBack(Message):
        """A run is back from the trash; no id: there was none."""

        run_id: str

    @dataclass
    class TrashMeasured(Message):
        """How many runs are in the trash, and how many bytes they take."""

        count: int
        size_bytes: int

    def run_under_cursor(self) -> Listed | None:
        """The run that is meant."""
        raise NotImplementedError

    def put_cursor_on(self, run_id: str) -> None:
        """Mean this run, as soon as it is there."""
        raise NotImplementedError

    def deed_done(self) -> None:
        """Something about the runs or their queue has been changed."""
        raise NotImplementedError

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Where there is no run, nothing is offered that is done to one."""
        if action in _OF_A_RUN:
            return self.run_under_cursor() is not None
        return super().check_action(action, parameters)

    def action_follow(self) -> None:
        """Show it in the Train pane."""
        run = self._chosen()
        if run:
            self.post_message(messages.FollowRun(run.seen.id))

    def action_complete(self) -> None:
        """Complete with its adapter."""
        run = self._chosen()
        if run and not (run.seen.view.adapter or run.seen.view.checkpoints):
            self.tell(_("{run} has no adapter yet.").format(run=run.seen.id), severity="warning")
        elif run:
            self.post_message(messages.CompleteWith(run.seen.id))

    def action_profile(self) -> None:
        """Open the profile that it was made with."""
        run = self._chosen()
        if run:
            self.post_message(messages.OpenProfile(str(RunDirectory(run.seen.path).profile_path)))

    def action_go_on(self) -> None:
        """Let it go on, after a question."""
        run = self._chosen()
        if not run:
            return
        view = run.seen.view
        if view.status == "paused":
            self._do("go_on", run)
        elif view.status in ("running", "starting"):
            self.tell(_("{run} is at work already.").format(run=run.seen.id), severity="information")
        elif view.status == "finished":
            text = _("{run} is finished. To make it longer: poemcore resume {run} --set train.epochs=N (l copies it).")
            self.tell(text.format(run=run.seen.id), severity="information")
        else:
            self._ask(_("Resume"), _going_on_words(view), _("Resume"), lambda: self._do("go_on", run))

    def action_end(self, now: bool = False) -> None:
        """Stop it, or take it out of the queue, after a question."""
        run = self._chosen()
        if not run:
            return
        view = run.seen.view
        if view.status not in (*_AT_WORK, "queued"):
            self.tell(_("{run} is not at work.").format(run=run.seen.id), severity="information")
            return
        if view.status == "queued":
            text = _("Take {run} out of the queue? It stays here and can be resumed.")
        elif now:
            text = _("End {run} at once? What it has learnt since its last checkpoint is lost.")
        else:
            text = _("End {run}, with a checkpoint of what it has learnt? It can be resumed.")
        deed = "end_now" if now else "end"
        self._ask(_("Stop"), text.format(run=view.id), _("Stop"), lambda: self._do(deed, run), danger=now)

    def action_move(self, by: int) -> None:
        """Move a run that waits earlier or later."""
        run = self._chosen()
        if run and run.seen.view.status != "queued":
            self.tell(_("{run} is not in the queue.").format(run=run.seen.id), severity="information")
        elif run:
            self._do("earlier" if by < 0 else "later", run)

    def action_delete(self) -> None:
        """Move it to the trash, after a question."""
        run = self.run_under_cursor()
        if not run:
            return
        if run.seen.view.status in _AT_WORK and not run.seen.problem:
            text = _("{run} is at work. Stop it first: x.")
            if run.seen.view.status == "queued":
                text = _("{run} waits in the queue. Take it out first: x.")
            self.tell(text.format(run=run.seen.id), severity="warning")
        else:
            text = _("Move {run} to the trash, with its adapter and checkpoints? u brings it back.")
            deed = _("Delete")
            self._ask(deed, text.format(run=run.seen.id), deed, lambda: self._do("delete", run), danger=True)

    def action_bring_back(self) -> None:
        """Bring back the run that was deleted last."""
        self._bring_back()

    def action_empty_trash(self) -> None:
        """Remove for good what is in the trash, after a question that says how much that is."""
        self._measure_trash()

    def action_copy_path(self) -> None:
        """Put the path on the clipboard."""
        run = self.run_under_cursor()
        if run:
            self._copy(str(run.seen.path.absolute()))

    def action_command_line(self) -> None:
        """Put one of several command lines on the clipboard."""
        from tui.panes.runs_work import command_lines

        run = self._chosen()
        if not run:
            return
        lines = command_lines(RunDirectory(run.seen.path), run.seen.view)

        def copy(answer: int | None) -> None:
            if answer is not None:
                self._copy(lines[answer])

        self.app.push_screen(Choose(_("Copy a command line"), lines), copy)

    # -- how it is done

    def _chosen(self) -> Listed | None:
        """The run under the cursor, if it can be read; else that is told."""
        run = self.run_under_cursor()
        if run is not None and run.seen.problem:
            self.tell(run.seen.problem)
            return None
        return run

    def _ask(self, title: str, text: str, yes: str, deed: Callable[[], object], *, danger: bool = False) -> None:
        def answered(answer: bool | None) -> None:
            if answer:
                deed()

        self.app.push_screen(Confirm(title, text, yes=yes, danger=danger), answered)

    def _copy(self, text: str) -> None:
        self.app.copy_to_clipboard(text)
        self.tell(_("Copied: {text}").format(text=text), severity="information")

    @work(thread=True, group="runs.deed", exit_on_error=False)
    def _do(self, deed: str, run: Listed) -> None:
        from tui.panes import runs_work

        found = RunDirectory(run.seen.path)
        deeds: dict[str, Callable[[], str]] = {
            "go_on": lambda: runs_work.go_on(found),
            "end": lambda: runs_work.end(found, now=False),
            "end_now": lambda: runs_work.end(found, now=True),
            "earlier": lambda: runs_work.move_in_queue(found, -1),
            "later": lambda: runs_work.move_in_queue(found, 1),
            "delete": lambda: runs_work.delete(found),
        }
        self._say_done(deeds[deed])

    @work(thread=True, group="runs.deed", exit_on_error=False)
    def _bring_back(self) -> None:
        from tui.panes.runs_work import bring_back

        def deed() -> str:
            said, run_id = bring_back(self.workbench.runs_dir)
            self.post_message(self.BroughtBack(run_id))
            return said

        self._say_done(deed)

    @work(thread=True, group="runs.deed", exit_on_error=False)
    def _measure_trash(self) -> None:
        from tui.panes.runs_work import trash_contents

        try:
            count, size_bytes = trash_contents(self.workbench.runs_dir)
        except PoemError as error:
            self.tell(error)
            return
        if not get_current_worker().is_cancelled:
            self.post_message(self.TrashMeasured(count, size_bytes))

    @on(BroughtBack)
    def _mean_it(self, event: BroughtBack) -> None:
        if event.run_id:
            self.put_cursor_on(event.run_id)

    @on(Done)
    def _look_again(self) -> None:
        self.deed_done()

    @on(TrashMeasured)
    def _ask_to_empty(self, event: TrashMeasured) -> None:
        from tui.panes.runs_details import size_words

        if not event.count:
            self.tell(_("The trash is empty."), severity="information")
            return
        text = _("Remove what is in the trash for good? Runs: {count}, {size}. They can't be brought back.")
        title = _("Empty the trash")
        text = text.format(count=event.count, size=size_words(event.size_bytes))
        self._ask(title, text, title, self._empty_trash, danger=True)

    @work(thread=True, group="runs.deed", exit_on_error=False)
    def _empty_trash(self) -> None:
        from tui.panes.runs_work import empty_trash

        self._say_done(lambda: empty_trash(self.workbench.runs_dir))

    def _say_done(self, deed: Callable[[], str]) -> None:
        """Do it and tell what came of it; in a thread."""
        try:
            said = deed()
        except PoemError as error:
            self.tell(error)
        else:
            if said:
                self.tell(said, severity="information")
        self.post_message(messages.LookAtRuns())
        self.post_message(self.Done())


def _going_on_words(view: RunView) -> str:
    if view.status == "queued":
        return _("{run} waits for its device. Start a process for it, should it have lost its own?").format(run=view.id)
    if not view.saved_step:
        return _("{run} has no checkpoint. Start it from its beginning?").format(run=view.id)
    return _("Go on with {run} from its checkpoint of step {step} of {steps}?").format(
        run=view.id, step=view.saved_step, steps=view.steps
    )

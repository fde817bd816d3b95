"""The Runs pane: every run of the runs directory, newest first, and what the one under the cursor did last.

It only reads what runs write to the disk, so closing the app, or losing the terminal, never touches a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static
from textual.worker import get_current_worker

from core.errors import PoemError
from core.i18n import N_, _
from core.runs import events
from core.runs.directory import RunDirectory, list_runs
from core.runs.event_log import read_events
from core.runs.lock import is_locked
from core.runs.storage import check_private
from core.runs.view import RunView, fold_all, judged_by_lock
from core.runs.wording import loss_words, sentence, status_words
from tui.pane import Pane
from tui.plain import content
from tui.widgets.row_list import Cells, RowList, lay_out

_REFRESH_S = 0.5
_EVENTS_SHOWN = 8
_SAMPLES_SHOWN = 3
_WIDTHS = (32, 12, 11, 17)


@dataclass(frozen=True, slots=True)
class RunSeen:
    """A run at one moment."""

    view: RunView
    """What its events say."""
    status: str = ""
    """Its status in words, as its lock has it too: "died" is no end, as the worker may be about to start."""
    tail: tuple[events.Event, ...] = ()
    """Its last events, oldest first; samples left out."""
    offset: int = 0
    """Bytes of its events file that are read."""
    problem: str = ""
    """Why it can't be read; "" where it can."""


class RunsPane(Pane):
    """The list of runs and the details of one."""

    TITLE: ClassVar[str] = N_("Runs")
    FOCUS_FIRST: ClassVar[str] = "#runs-list"

    @dataclass
    class Looked(Message):
        """The runs, newest first, or why their directory can't be read."""

        result: tuple[RunSeen, ...] | str

    def __init__(self, *, id: str) -> None:
        """The pane of the app's runs directory."""
        super().__init__(id=id)
        self._runs: tuple[RunSeen, ...] = ()
        self._shown: tuple[RunSeen, ...] | str | None = None
        self._looking = False

    def compose(self) -> ComposeResult:
        """The heads of the columns, the list and the details."""
        yield Static(id="runs-head", classes="head")
        with Container(classes="body"):
            yield RowList(id="runs-list")
            with VerticalScroll(classes="detail"):
                yield Static(id="run")

    def on_mount(self) -> None:
        """Look now, and from now on twice a second."""
        self._look()
        self.set_interval(_REFRESH_S, self._look)

    def _look(self) -> None:
        if not self._looking:
            self._looking = True
            self._read_runs({run.view.id: run for run in self._runs})

    @work(thread=True)
    def _read_runs(self, known: dict[str, RunSeen]) -> None:
        try:
            directories = reversed(list_runs(self.workbench.runs_dir))
            self.post_message(self.Looked(tuple(_see(run, known.get(run.id)) for run in directories)))
        except PoemError as error:
            self.post_message(self.Looked(str(error)))

    @on(Looked)
    def _show_runs(self, event: Looked) -> None:
        self._looking = False
        if event.result == self._shown:
            return  # nothing is painted again that hasn't changed
        self._shown = event.result
        row_list = self.query_one(RowList)
        wanted = None if row_list.cursor is None else self._runs[row_list.cursor].view.id
        self._runs = () if isinstance(event.result, str) else event.result
        ids = [run.view.id for run in self._runs]
        row_list.show(len(ids), self._cells, cursor=ids.index(wanted) if wanted in ids else 0)
        if isinstance(event.result, str):
            head = event.result
        elif ids:
            names = (_("run"), _("status"), _("step"), _("held-out loss"))
            head = lay_out(tuple(zip(names, _WIDTHS, strict=True)))
        else:
            head = _("There are no runs in {directory}.").format(directory=self.workbench.runs_dir)
        self.set_class(isinstance(event.result, str), "-error")
        self.query_one("#runs-head", Static).update(content(head))

    def _cells(self, index: int) -> Cells:
        run = self._runs[index]
        view, status = run.view, _("unreadable") if run.problem else run.status
        steps = f"{view.step}/{view.steps}" if view.steps else "-"
        return tuple(zip((view.id, status, steps, losses(view)), _WIDTHS, strict=True))

    @on(RowList.CursorMoved)
    def _show_run(self) -> None:
        index = self.query_one(RowList).cursor
        run = None if index is None else self._runs[index]
        self.query_one("#run", Static).update(run_content(run) if run else "")


def _see(run: RunDirectory, before: RunSeen | None) -> RunSeen:
    """The run now, reading only what its events file has gained since `before`."""
    seen = before if before and not before.problem else RunSeen(RunView(run.id))
    view, tail, offset = seen.view, seen.tail, seen.offset
    try:
        check_private(run.path)
        locked = is_locked(run)  # before the events: a worker that writes its last one and leaves has not died
        while not get_current_worker().is_cancelled:
            new, next_offset = read_events(run.events_path, offset)
            if next_offset == offset:
                break
            offset = next_offset
            view = fold_all(view, new)
            # Samples are shown in full elsewhere.
            tail = (*tail, *(event for event, _time_s in new if not isinstance(event, events.SampleMade)))
            tail = tail[-_EVENTS_SHOWN:]
    except PoemError as error:
        return RunSeen(RunView(run.id), problem=str(error))
    return RunSeen(view, status_words(judged_by_lock(view, locked=locked)), tail, offset)


def run_content(run: RunSeen) -> Content:
    """The run's id and losses, its last samples, and its last events, the newest of each first."""
    view = run.view
    parts = [content(view.id, "bold")]
    if run.problem:
        return Content("\n").join([*parts, content(run.problem)])
    parts.append(content(_("held-out loss {losses}").format(losses=losses(view))))
    if view.smoothed_loss is not None:
        text = _("training loss {loss:.3f}, smoothed {smoothed:.3f}")
        parts.append(content(text.format(loss=view.loss, smoothed=view.smoothed_loss)))
    for sample in reversed(view.samples[-_SAMPLES_SHOWN:]):
        text = _("step {step}: {prompt}").format(step=sample.step, prompt=sample.prompt)
        parts += [content(text, "bold"), content(sample.text)]
    parts += [content(sentence(event, view.steps), "dim") for event in reversed(run.tail)]
    return Content("\n").join(parts)


def losses(view: RunView) -> str:
    """Held-out loss before and after, in nats per supervised token."""
    return f"{loss_words(view.eval_loss_base)} → {loss_words(view.eval_loss)}"

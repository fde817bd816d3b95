"""What the Runs pane reads of runs beyond their events: what they were made from, the queue, the disk. In threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import on, work
from textual.message import Message
from textual.worker import get_current_worker

from core.errors import PoemError
from core.runs.directory import RunDirectory
from tui.panes.runs_acting import ActingPane
from tui.panes.runs_table import Listed, Place

if TYPE_CHECKING:
    from core.runs.facts import OnDisk, Origin

_QUEUE_S = 2.0


class ReadingPane(ActingPane):
    """A pane of runs that knows what is read of them."""

    @dataclass
    class OriginsRead(Message):
        """What runs were made from, by id."""

        origins: dict[str, Origin]

    @dataclass
    class PlacesRead(Message):
        """The place in the queue by id, of those that wait."""

        places: dict[str, Place]

    @dataclass
    class DiskRead(Message):
        """What there is of a run on the disk."""

        run_id: str
        disk: OnDisk

    def __init__(self, *, id: str) -> None:
        """Nothing has been read."""
        super().__init__(id=id)
        self.origins: dict[str, Origin] = {}
        self.places: dict[str, Place] = {}
        self.disks: dict[str, OnDisk] = {}
        self._disk_of: tuple[str, int, str] | None = None

    def on_mount(self) -> None:
        """The queue changes without a run's telling."""
        self.set_interval(_QUEUE_S, self._look_at_queue)

    def reading_done(self) -> None:
        """Something of it is known now."""
        raise NotImplementedError

    def read_about_runs(self) -> None:
        """Read what isn't known yet of the runs that there are now."""
        unknown = [run for run in self.workbench.runs if run.id not in self.origins and not run.problem]
        if unknown:
            self._read_origins([RunDirectory(run.path) for run in unknown])
        self._look_at_queue()

    def read_disk_of(self, run: Listed) -> None:
        """Look what there is of a run, unless nothing can have changed since the last look."""
        seen = run.seen
        mark = seen.id, len(seen.view.checkpoints), seen.view.status
        if not seen.problem and mark != self._disk_of:
            self._disk_of = mark
            self._read_disk(RunDirectory(seen.path))

    def deed_done(self) -> None:
        """The queue may be another one."""
        self._look_at_queue()

    def _look_at_queue(self) -> None:
        waiting = [RunDirectory(run.path) for run in self.workbench.runs if run.view.status == "queued"]
        if waiting:
            self._read_places(waiting)

    @work(thread=True, exclusive=True, group="runs.origins", exit_on_error=False)
    def _read_origins(self, runs: list[RunDirectory]) -> None:
        from core.runs.facts import origin_of

        worker, found = get_current_worker(), {}
        for run in runs:
            if worker.is_cancelled:
                break
            origin = origin_of(run)
            if origin is not None:
                found[run.id] = origin
        if found:
            self.post_message(self.OriginsRead(found))

    @work(thread=True, exclusive=True, group="runs.places", exit_on_error=False)
    def _read_places(self, runs: list[RunDirectory]) -> None:
        from core.runs.queue import place_of
        from tui.panes.runs_work import places

        try:
            found = places()
        except PoemError:
            found = {}  # the order can't be told; a person who changes it hears why
        by_path = {place_of(run): run.id for run in runs}
        self.post_message(self.PlacesRead({by_path[path]: found[path] for path in by_path if path in found}))

    @work(thread=True, exclusive=True, group="runs.disk", exit_on_error=False)
    def _read_disk(self, run: RunDirectory) -> None:
        from core.runs.facts import on_disk

        disk = on_disk(run)
        if not get_current_worker().is_cancelled:
            self.post_message(self.DiskRead(run.id, disk))

    @on(OriginsRead)
    def _take_origins(self, event: OriginsRead) -> None:
        self.origins |= event.origins
        self.reading_done()

    @on(PlacesRead)
    def _take_places(self, event: PlacesRead) -> None:
        if event.places != self.places:
            self.places = event.places
            self.reading_done()

    @on(DiskRead)
    def _take_disk(self, event: DiskRead) -> None:
        self.disks[event.run_id] = event.disk
        self.reading_done()

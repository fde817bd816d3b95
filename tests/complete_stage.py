"""The Complete pane alone in the app's frame, with a model that writes what a test says, when it says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Static

from core.client import Candidate, CompletionRequest, Side, Superseded, Written
from core.profile.document import check_text, dump_profile
from core.runs.directory import RunDirectory, create_run
from core.runs.event_log import EventLog
from core.runs.events import RunFinished, RunStarted
from tests.pilot import OnePane, running, until
from tui.pane import Pane
from tui.panes.completion import CompletionPane
from tui.panes.completion_sheet import PoemSheet
from tui.workbench import ProfileState

REST = "欲窮千里目，更上一層樓。"
GIVEN = "白日依山盡，黃河入海流。"


@dataclass
class FakeModel:
    """Answers each request with the snapshots that a test puts into its queue; an exception there is raised."""

    requests: list[CompletionRequest] = field(default_factory=list)
    answers: asyncio.Queue[Written | BaseException | None] = field(default_factory=asyncio.Queue)
    closed: int = 0
    """How many completions were broken off or came to their end."""
    unloaded: int = 0

    async def complete(self, request: CompletionRequest) -> AsyncIterator[Written]:
        self.requests.append(request)
        self.answers = asyncio.Queue()
        answers = self.answers
        try:
            while (answer := await answers.get()) is not None:
                if isinstance(answer, BaseException):
                    raise answer
                yield answer
        finally:
            self.closed += 1

    def say(self, text: str = REST, *, done: bool = False, stop: str = "end") -> Written:
        """A snapshot in which every candidate is the text with its number behind it."""
        request = self.requests[-1]
        names = (["base"] if request.with_base or not request.run else []) + (["adapter"] if request.run else [])
        sides = tuple(
            Side(
                name,
                tuple(
                    Candidate(
                        text=text,
                        done=done,
                        tokens=len(text) if done else 0,
                        stop=stop if done else "",
                        seed=request.seed + index,
                    )
                    for index in range(request.count)
                ),
                (80.0 if name == "base" else 90.0) if done else 0.0,
            )
            for name in names
        )
        written = Written(prompt_tokens=23, sides=sides, done=done)
        self.answers.put_nowait(written)
        if done:
            self.answers.put_nowait(None)
        return written

    def fail(self, error: BaseException) -> None:
        self.answers.put_nowait(error)

    async def unload(self) -> None:
        self.unloaded += 1

    async def close(self) -> None:
        with suppress(Superseded):
            self.answers.put_nowait(None)


class FakeProfilePane(Pane):
    """Changes the profile as the real one does, without an editor."""

    def set_keys(self, values: Mapping[str, Any]) -> None:
        state = self.workbench.profile_state
        profile, _problems = check_text(state.text, overrides=[f"{key}={value}" for key, value in values.items()])
        if profile is not None:
            self.workbench.profile_state = state._replace(text=dump_profile(profile), profile=profile, unsaved=True)


class Stage(OnePane):
    """The app with the Complete pane and no other."""

    def __init__(self, runs_dir: Path, *, keys: Mapping[str, str] | None = None) -> None:
        super().__init__("complete", runs_dir, keys)
        self.fake = FakeModel()
        self._model = self.fake  # type: ignore[assignment]

    def panes(self) -> tuple[Pane, ...]:
        return FakeProfilePane(id="profile"), CompletionPane(id="complete")

    @property
    def complete_pane(self) -> CompletionPane:
        return self.query_one(CompletionPane)

    @property
    def sheet(self) -> PoemSheet:
        return self.query_one(PoemSheet)

    def set_profile(self, *overrides: str) -> None:
        profile, problems = check_text("", overrides=overrides)
        assert profile is not None, problems
        self.profile_state = ProfileState("tang", text=dump_profile(profile), profile=profile)

    def said(self, name: str) -> str:
        """What one of the pane's lines says."""
        return str(self.query_one(f"#complete-{name}", Static).render())


def make_finished_run(runs_dir: Path, name: str) -> RunDirectory:
    run = create_run(runs_dir, name=name)
    with EventLog(run.events_path) as log:
        log.append(RunStarted(run.id, 0, 380, 20, 40, 2, "builtin:tang-tiny", "cpu", "float32", 9000, 1234))
        log.append(RunFinished(40, 5.25, 4.5, "adapter"))
    return run


async def settle(pilot: Pilot[None]) -> None:
    """Until everything that was posted is handled; a completion that is at work goes on."""
    await pilot.pause()


def play(
    app: Stage, steps: Callable[[Pilot[None]], Awaitable[None]], size: tuple[int, int] = (80, 24), *overrides: str
) -> None:
    """Run the app with a profile, the pane in front and its field focused, and take the steps."""

    async def run() -> None:
        async with running(app, size) as pilot:
            app.set_profile(*overrides)
            await until(pilot, lambda: app.focused is not None and app.focused.id == "complete-text")
            await until(pilot, lambda: not app._looking)
            await settle(pilot)
            await steps(pilot)

    asyncio.run(run())


async def type_line(pilot: Pilot[None], text: str) -> None:
    """Put a line into the field, as a paste does."""
    from textual.events import Paste

    pilot.app.post_message(Paste(text))
    await settle(pilot)


async def complete(pilot: Pilot[None], text: str = GIVEN, rest: str = REST, **how: Any) -> None:
    """Type a line, press Enter and let the model write all of it."""
    app = pilot.app
    assert isinstance(app, Stage)
    asked = len(app.fake.requests)
    await type_line(pilot, text)
    await pilot.press("enter")
    await until(pilot, lambda: len(app.fake.requests) > asked)
    app.fake.say(rest, done=True, **how)
    await until(pilot, lambda: not app.complete_pane._writing)
    await settle(pilot)

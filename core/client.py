"""The app's end of the model process: it starts at the first request, and anew after an end.

It loads no model library. How the two speak is `core.serve_protocol`'s matter.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from core.data.rows import Row
from core.errors import PoemError, WorkError
from core.i18n import _
from core.model_process import death_words, kill
from core.plain import plain
from core.serve_protocol import (
    IN_PIECES,
    LONGEST_BYTES,
    Candidate,
    CompletionRequest,
    EncodedRow,
    ModelState,
    Plan,
    Review,
    ReviewRequest,
    Side,
    Written,
    encoded_from,
    fields_of,
    parse_line,
    plan_from,
    to_line,
    written_from,
)

__all__ = [
    "Candidate",
    "CompletionRequest",
    "EncodedRow",
    "ModelClient",
    "ModelGone",
    "ModelState",
    "Plan",
    "Review",
    "ReviewRequest",
    "Side",
    "Superseded",
    "Written",
]

T = TypeVar("T")

_CONSOLE_LINES = 200
_CONSOLE_LINE_BYTES = 2000
_PATIENCE_S = 0.2


class Superseded(Exception):
    """A later request of the same kind took this one's place, or it was cancelled."""


class ModelGone(WorkError):
    """The model process ended while it was needed; the next request starts another."""


class _Unloaded(Exception):
    """The process was ended on purpose before it had answered."""


@dataclass(slots=True)
class _Asked:
    """A request on its way."""

    parts: deque[Any]
    """Of the answer, not yet handed on: every piece, or the newest part where each holds all before it."""
    end: dict[str, Any] | None = None
    """The last answer; None: more may come."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when either has changed."""


class ModelClient:
    """One model process and the requests to it. It belongs to one event loop."""

    def __init__(self, on_state: Callable[[ModelState], None], *, runs_dir: Path) -> None:
        """Nothing is started yet.

        Args:
            on_state: called with every new state, in the event loop.
            runs_dir: where runs are kept.
        """
        self.state = ModelState()
        self._on_state, self._runs_dir = on_state, runs_dir.absolute()
        self._process: asyncio.subprocess.Process | None = None
        self._launching: asyncio.Task[OSError | None] | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._asked: dict[int, _Asked] = {}
        self._console: deque[str] = deque(maxlen=_CONSOLE_LINES)
        self._number = 0
        self._completion = self._scoring = 0
        self._asked_to_go = False
        self._is_closed = False

    def console(self) -> str:
        """What the process last wrote on its console: for an error report."""
        return "\n".join(self._console)

    async def encode(self, profile: str, base_dir: str, row: Row, epoch: int) -> EncodedRow:
        """What training makes of a row.

        Args:
            profile: a profile's text.
            base_dir: where relative paths in it start from.
            row: the row.
            epoch: whose draw of the task, from 0.

        Raises:
            PoemError: the profile or its base can't be used.
            Superseded: another row was asked for meanwhile.
        """
        fields = {
            "number": row.number,
            "instruction": row.instruction,
            "input": row.input,
            "output": row.output,
            "extra": dict(row.extra),
        }
        request = {"kind": "encode", "profile": profile, "row": fields, "epoch": epoch}
        return _understood(encoded_from, await self._ask_once(request, base_dir))

    async def plan(self, profile: str, base_dir: str) -> Plan:
        """What a run of a profile would be.

        Raises:
            PoemError: the profile, its data or its base can't be used.
            Superseded: it was asked again meanwhile.
        """
        return _understood(plan_from, await self._ask_once({"kind": "plan", "profile": profile}, base_dir))

    async def complete(self, request: CompletionRequest) -> AsyncIterator[Written]:
        """Complete a poem; each item holds everything so far. Closing the iterator cancels.

        Raises:
            PoemError: what was asked for can't be had.
            Superseded: another was asked for meanwhile, or it was cancelled, or the device was wanted back.
        """
        wanted = replace(request, run=os.path.abspath(request.run) if request.run else "")
        async with contextlib.aclosing(
            self._ask({"kind": "complete", "request": fields_of(wanted)}, request.base_dir)
        ) as stream:
            try:
                async for fields in stream:
                    yield _understood(written_from, fields)
            except _Unloaded:
                raise Superseded from None

    async def review(self, request: ReviewRequest) -> AsyncGenerator[Review, None]:
        """Review a data file and a profile; each item holds everything so far, the last one all. Closing cancels.

        Raises:
            PoemError: the file or something that the profile names can't be used.
            Superseded: another was asked for meanwhile, or the device that scores rows was wanted back.
        """
        asked = {"kind": IN_PIECES, "request": fields_of(request)}
        while True:
            found = Review()
            try:
                async with contextlib.aclosing(self._ask(asked, request.base_dir)) as stream:
                    async for part in stream:
                        found = _understood(found.and_part, part)
                        yield found
            except _Unloaded:
                if request.loss:
                    raise Superseded from None
                continue
            yield replace(found, done=True)
            return

    async def cancel(self) -> None:
        """End the completion in hand at its next token."""
        if self._completion:
            self._write(to_line({"cancel": self._completion}))

    async def unload(self) -> None:
        """Free the device; does nothing where no model was loaded.

        The process ends: only then is everything given back that the libraries hold, such as a GPU's context. Tokens,
        plans and reviews in hand are asked for again, a review that scores rows is not.
        """
        if self.state.loaded or self._completion or self._scoring:
            await self._end()

    async def close(self) -> None:
        """End the process, and whatever waits for it. No other is started after this."""
        self._is_closed = True
        if self._launching is not None:
            await asyncio.wait([self._launching], timeout=_PATIENCE_S)
        await self._end()

    # -- requests

    async def _ask_once(self, request: dict[str, Any], base_dir: str) -> dict[str, Any]:
        while True:
            found: dict[str, Any] = {}
            try:
                async for fields in self._ask(request, base_dir):
                    found = fields
                return found
            except _Unloaded:
                continue

    async def _ask(self, request: dict[str, Any], base_dir: str) -> AsyncGenerator[dict[str, Any], None]:
        self._number += 1
        number, asked = self._number, _Asked(deque(maxlen=None if request["kind"] == IN_PIECES else 1))
        line = to_line({"id": number, "base_dir": os.path.abspath(base_dir) if base_dir else "", **request})
        if len(line) > LONGEST_BYTES:
            raise PoemError(_("the text is too long for the model process"), hint=_("Give a shorter one."))
        self._asked[number] = asked
        if request["kind"] == "complete":
            self._completion = number
        elif request["kind"] == IN_PIECES and request["request"]["loss"]:
            self._scoring = number
        try:
            await self._start()
            if asked.end is None:
                self._write(line)
            while asked.end is None or asked.parts:
                if asked.parts:
                    yield asked.parts.popleft()
                else:
                    asked.changed.clear()
                    await asked.changed.wait()
        finally:
            del self._asked[number]
            if self._completion == number:
                self._completion = 0
            if self._scoring == number:
                self._scoring = 0
            if asked.end is None:
                self._write(to_line({"cancel": number}))
        _raise_unless_done(asked.end)

    def _write(self, line: bytes) -> None:
        """Hand a line to the process. Never waits: one that hangs must not make its caller hang."""
        if self._process is not None and self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(line)

    # -- the process

    async def _start(self) -> None:
        """See that there is a process. A request that is cancelled meanwhile leaves it to the next."""
        if self._is_closed:
            raise ModelGone(_("the model process was closed"))
        if self._process is not None:
            return
        if self._launching is None:
            self._launching = asyncio.create_task(self._launch())
        error = await asyncio.shield(self._launching)
        if error is not None:
            raise ModelGone(
                _("the model process can't be started: {reason}").format(reason=plain(error.strerror or str(error)))
            ) from error

    async def _launch(self) -> OSError | None:
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # inherited so, nobody could tell how a child ended
        # The same code as ours, from wherever we were started; with -P, nothing that lies in the current directory.
        theirs = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        paths = os.pathsep.join([str(Path(__file__).parents[1]), *map(os.path.abspath, theirs)])
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "core.serve",
                str(self._runs_dir),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # the terminal's signals are not for it
                limit=LONGEST_BYTES,
                cwd="/",  # no folder of the person's is kept from being removed
                env={**os.environ, "PYTHONPATH": paths, "TOKENIZERS_PARALLELISM": "false", "PYTHONUTF8": "1"},
            )
        except OSError as error:
            self._become(ModelState(problem=_("the model process can't be started")))
            return error
        finally:
            self._launching = None
        self._process, self._asked_to_go = process, False
        self._become(ModelState(status="starting", pid=process.pid))
        self._readers = [
            asyncio.create_task(self._read_console(process)),
            asyncio.create_task(self._read_answers(process)),
        ]
        return None

    async def _read_answers(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        with contextlib.suppress(ValueError, ConnectionError):  # a line beyond all limits: as good as no process
            while line := await process.stdout.readline():
                self._take(parse_line(line) or {}, process.pid)
        await self._bury(process)

    def _take(self, message: dict[str, Any], pid: int) -> None:
        state, number = message.get("state"), message.get("id")
        if isinstance(state, dict):
            with contextlib.suppress(TypeError):
                self._become(ModelState(**{**state, "pid": pid}))
        asked = self._asked.get(number) if isinstance(number, int) else None
        if asked is None:
            return
        if message.get("is") == "part":
            asked.parts.append(message.get("fields"))
        else:
            asked.end = message
        asked.changed.set()

    async def _read_console(self, process: asyncio.subprocess.Process) -> None:
        """Always read, or a full pipe would stop the process."""
        assert process.stderr is not None
        rest = b""
        while data := await process.stderr.read(65536):
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[-_CONSOLE_LINE_BYTES:]
            self._console.extend(plain(line[:_CONSOLE_LINE_BYTES].decode("utf-8", "replace")) for line in lines)
        if rest:
            self._console.append(plain(rest.decode("utf-8", "replace")))

    async def _bury(self, process: asyncio.subprocess.Process) -> None:
        """The process has closed its answers: tell everybody who waits."""
        kill(process)
        code = await process.wait()
        await asyncio.wait(self._readers[:1], timeout=_PATIENCE_S)  # its last words
        self._forget(process, death_words(code, list(self._console)))

    async def _end(self) -> None:
        process, readers = self._process, self._readers
        if process is None:
            return
        self._asked_to_go = True
        kill(process)  # it has nothing to save, and may be deep inside a library
        _done, left = await asyncio.wait(readers, timeout=_PATIENCE_S)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        self._forget(process, "")

    def _forget(self, process: asyncio.subprocess.Process, words: str) -> None:
        if self._process is not process:
            return
        self._process = None
        end: dict[str, Any] = {"is": "gone", "message": words}
        if self._asked_to_go:
            end = (
                {"is": "gone", "message": _("the model process was closed")} if self._is_closed else {"is": "unloaded"}
            )
        for asked in self._asked.values():
            if asked.end is None:
                asked.end = end
                asked.changed.set()
        self._become(ModelState(problem="" if self._asked_to_go else words))

    def _become(self, state: ModelState) -> None:
        if state != self.state:
            self.state = state
            self._on_state(state)


def _raise_unless_done(end: dict[str, Any] | None) -> None:
    kind = (end or {}).get("is")
    told = {key: str((end or {}).get(key, "")) for key in ("message", "hint", "where")}
    if kind == "superseded":
        raise Superseded
    if kind == "unloaded":
        raise _Unloaded
    if kind == "gone":
        hint = _("It starts again with the next request. Where memory is short, free some or take a smaller model.")
        raise ModelGone(told["message"], hint=hint)
    if kind != "done":
        raise PoemError(told["message"], hint=told["hint"], where=told["where"])


def _understood(make: Callable[[Mapping[str, Any]], T], fields: Any) -> T:
    try:
        return make(fields)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise ModelGone(_("the model process answers what can't be understood")) from error

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
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from core.data.rows import Row
from core.errors import PoemError, WorkError
from core.i18n import _
from core.plain import plain
from core.serve_protocol import (
    LONGEST_BYTES,
    Candidate,
    CompletionRequest,
    EncodedRow,
    ModelState,
    Plan,
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
    "Side",
    "Superseded",
    "Written",
]

_CONSOLE_LINES = 200
_PATIENCE_S = 0.4


class Superseded(Exception):
    """A later request of the same kind took this one's place, or it was cancelled."""


class ModelGone(WorkError):
    """The model process ended while it was needed; the next request starts another."""


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
        self._readers: list[asyncio.Task[None]] = []
        self._answers: dict[int, asyncio.Queue[dict[str, Any]]] = {}
        self._console: deque[str] = deque(maxlen=_CONSOLE_LINES)
        self._number = 0
        self._completion = 0
        self._starting = asyncio.Lock()
        self._asked_to_go = False

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
        request = {"kind": "encode", "profile": profile, "base_dir": base_dir, "row": fields, "epoch": epoch}
        return encoded_from(await self._ask_once(request))

    async def plan(self, profile: str, base_dir: str) -> Plan:
        """What a run of a profile would be.

        Raises:
            PoemError: the profile, its data or its base can't be used.
            Superseded: it was asked again meanwhile.
        """
        return plan_from(await self._ask_once({"kind": "plan", "profile": profile, "base_dir": base_dir}))

    async def complete(self, request: CompletionRequest) -> AsyncIterator[Written]:
        """Complete a poem; each item holds everything so far. Closing the iterator cancels.

        Raises:
            PoemError: what was asked for can't be had.
            Superseded: another was asked for meanwhile, or it was cancelled.
        """
        asked = {"kind": "complete", "base_dir": request.base_dir, "request": fields_of(request)}
        stream = self._ask(asked)
        try:
            async for fields in stream:
                yield written_from(fields)
        finally:
            await stream.aclose()  # type: ignore[attr-defined]

    async def cancel(self) -> None:
        """End the completion in hand at its next token."""
        if self._completion:
            await self._send({"cancel": self._completion})

    async def unload(self) -> None:
        """Free the device. The process ends: only then is everything given back that the libraries hold."""
        await self._end()

    async def close(self) -> None:
        """End the process, and whatever waits for it."""
        await self._end()

    # -- requests

    async def _ask_once(self, request: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        async for fields in self._ask(request):
            found = fields
        return found

    async def _ask(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        await self._start()
        self._number += 1
        number = self._number
        answers = self._answers[number] = asyncio.Queue()
        if request["kind"] == "complete":
            self._completion = number
        over = False
        try:
            await self._send({"id": number, **request})
            while True:
                answer = await answers.get()
                over = answer["is"] != "part"
                if not over:
                    yield answer["fields"]
                elif answer["is"] == "done":
                    return
                elif answer["is"] == "superseded":
                    raise Superseded
                elif answer["is"] == "gone":
                    raise ModelGone(answer["message"], hint=answer["hint"])
                else:
                    raise PoemError(answer["message"], hint=answer["hint"], where=answer["where"])
        finally:
            self._answers.pop(number, None)
            if self._completion == number:
                self._completion = 0
            if not over:
                await self._send({"cancel": number})

    async def _send(self, message: dict[str, Any]) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        with contextlib.suppress(ConnectionError):  # it has just ended, which its reader tells
            process.stdin.write(to_line(message))
            await process.stdin.drain()

    # -- the process

    async def _start(self) -> None:
        async with self._starting:
            if self._process is not None:
                return
            self._become(ModelState(status="starting"))
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
                    env={**os.environ, "TOKENIZERS_PARALLELISM": "false", "PYTHONUTF8": "1"},
                )
            except OSError as error:
                self._become(ModelState(problem=_("the model process can't be started")))
                raise ModelGone(
                    _("the model process can't be started: {reason}").format(reason=error.strerror or error)
                ) from error
            self._process, self._asked_to_go = process, False
            self._readers = [
                asyncio.create_task(self._read_answers(process)),
                asyncio.create_task(self._read_console(process)),
            ]

    async def _read_answers(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        with contextlib.suppress(ValueError):  # a line beyond all limits: as good as no process
            while line := await process.stdout.readline():
                message = parse_line(line)
                if message is None:
                    continue
                if "state" in message:
                    self._become(ModelState(**message["state"]))
                elif (answers := self._answers.get(message.get("id") or 0)) is not None:
                    answers.put_nowait(message)
        await self._bury(process)

    async def _read_console(self, process: asyncio.subprocess.Process) -> None:
        """Always read, or a full pipe would stop the process."""
        assert process.stderr is not None
        rest = b""
        while data := await process.stderr.read(65536):
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[-4096:]
            self._console.extend(plain(line[:2000].decode("utf-8", "replace")) for line in lines)
        if rest:
            self._console.append(plain(rest.decode("utf-8", "replace")))

    async def _bury(self, process: asyncio.subprocess.Process) -> None:
        """The process has closed its answers: tell everybody who waits."""
        try:
            code = await asyncio.wait_for(process.wait(), _PATIENCE_S)
        except TimeoutError:
            _kill(process)
            code = await process.wait()
        if self._process is not process:
            return
        if len(self._readers) == 2:
            await asyncio.wait([self._readers[1]], timeout=_PATIENCE_S)  # its last words
        self._process = None
        message = _death_words(code, list(self._console))
        self._become(ModelState(problem="" if self._asked_to_go else message))
        hint = _("It starts again with the next request. Where memory is short, free some or take a smaller model.")
        for answers in self._answers.values():
            told = {"is": "superseded"} if self._asked_to_go else {"is": "gone", "message": message, "hint": hint}
            answers.put_nowait(told)

    async def _end(self) -> None:
        process, readers = self._process, self._readers
        if process is None:
            return
        self._asked_to_go = True
        _kill(process)  # it has nothing to save, and may be deep inside a library
        _done, left = await asyncio.wait(readers, timeout=_PATIENCE_S)
        for task in left:
            task.cancel()

    def _become(self, state: ModelState) -> None:
        if state != self.state:
            self.state = state
            self._on_state(state)


def _kill(process: asyncio.subprocess.Process) -> None:
    """Not by `process.kill`, which may take its exit code away from the loop (subprocess polls before it signals)."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


def _death_words(code: int, console: list[str]) -> str:
    """How the process ended, and what it said last."""
    if code == -signal.SIGKILL:
        words = _("the model process was killed, perhaps because memory ran out")
    elif code < 0:
        words = _("the model process ended by signal {number}").format(number=-code)
    else:
        words = _("the model process ended with code {code}").format(code=code)
    last = next((line for line in reversed(console) if line.strip()), "")
    return f"{words}: {last[:300]}" if last else words

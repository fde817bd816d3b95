"""The model process of the app, `python -P -m core.serve RUNS_DIR`: requests on stdin, answers on stdout.

It works on one request at a time. A thread reads requests meanwhile, so that a cancellation or a later request of the
same kind ends the one at work at its next token. A review is put aside while there are requests of other kinds. How a
request is met is `core.serve_work`'s matter.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from core.errors import PoemError
from core.i18n import _
from core.serve_protocol import IN_PIECES, KINDS, LONGEST_BYTES, parse_line, to_line

if TYPE_CHECKING:
    from core.serve_work import Warm


class Superseded(Exception):
    """The request at work is wanted no more."""


class Server:
    """Requests in, answers out."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        """Serve on two pipes."""
        self._requests, self._answers = requests, answers
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._waiting: dict[str, dict[str, Any]] = {}  # by kind: a later request takes an earlier one's place
        self._at_work: list[dict[str, Any]] = []  # one, or a review and what it was put aside for
        self._state: dict[str, Any] = {}

    def send(self, message: dict[str, Any]) -> None:
        """Write one answer."""
        line = to_line(message)
        if len(line) > LONGEST_BYTES:
            line = to_line({"id": message.get("id"), **_told(PoemError(_("the answer is too long to be shown")))})
        try:
            with self._writing:
                self._answers.write(line)
                self._answers.flush()
        except OSError:  # the app has gone
            os._exit(0)

    def read(self) -> None:
        """Take requests until the app goes; then the process ends at once, whatever it is doing."""
        while line := self._requests.readline(LONGEST_BYTES):
            if not line.endswith(b"\n"):
                while line and not line.endswith(b"\n"):
                    line = self._requests.readline(LONGEST_BYTES)
                self.send({"id": None, **_told(PoemError(_("the request is too long")))})
                continue
            self.take(parse_line(line))
        # The main thread may be inside a library for minutes, and nothing here needs an orderly end.
        os._exit(0)

    def take(self, message: dict[str, Any] | None) -> None:
        """Put a request in line, or take one back."""
        message = message or {}
        number, kind = message.get("id"), message.get("kind")
        if "cancel" not in message and (type(number) is not int or kind not in KINDS):
            self.send({"id": number, **_told(PoemError(_("this is no request")))})
            return
        with self._changed:
            known = [*self._waiting.values(), *self._at_work]
            if "cancel" in message:
                dropped = [request for request in known if request["id"] == message["cancel"]]
                self._waiting = {key: request for key, request in self._waiting.items() if request not in dropped}
            else:
                dropped = [request for request in known if request["kind"] == kind]
                self._waiting.pop(str(kind), None)  # the later one stands at the end of the line
                self._waiting[str(kind)] = {**message, "is_over": False}
                self._changed.notify()
        for request in dropped:
            self.finish(request, {"is": "superseded"})

    def finish(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        """Give a request its last answer, unless it has had one."""
        with self._changed:
            was_over, request["is_over"] = request["is_over"], True
        if not was_over:
            self.send({"id": request["id"], **answer})

    def next_request(self) -> dict[str, Any]:
        """Wait for a request."""
        with self._changed:
            while not self._waiting:
                self._changed.wait()
            return self._take_up(next(iter(self._waiting)))

    def _take_up(self, kind: str) -> dict[str, Any]:
        self._at_work.append(self._waiting.pop(kind))
        return self._at_work[-1]

    def work(self, runs_dir: Path) -> None:
        """Meet requests, for ever."""
        from core.serve_work import Warm

        def tell(**state: Any) -> None:
            self._state = state
            self.send({"state": state})

        warm = Warm(runs_dir, tell)
        warm.tell_state("ready", "")
        while True:
            self._meet(self.next_request(), warm)
            warm.tell_state("ready", "")

    def _meet(self, request: dict[str, Any], warm: Warm) -> None:
        try:
            for fields in warm.meet(request, partial(self._check, request, warm)):
                _refuse_over(request)
                self.send({"id": request["id"], "is": "part", "fields": fields})
            self.finish(request, {"is": "done"})
        except Superseded:
            pass  # its sender knows since it was
        except PoemError as error:
            self.finish(request, _told(error))
        except Exception as error:  # whatever a library raises is told, and the next request may do better
            traceback.print_exc()
            self.finish(request, _told(warm.judge(error)))
        finally:
            with self._changed:
                self._at_work.remove(request)

    def _check(self, request: dict[str, Any], warm: Warm) -> None:
        """Whether a request is still wanted; a review lets the others go first, here and now."""
        _refuse_over(request)
        while request["kind"] == IN_PIECES:
            with self._changed:
                kind = next((kind for kind in self._waiting if kind != IN_PIECES), None)
                other = None if kind is None else self._take_up(kind)
            if other is None:
                return
            before = self._state
            self._meet(other, warm)
            warm.tell_state(before["status"], before["doing"])
            _refuse_over(request)


def _refuse_over(request: dict[str, Any]) -> None:
    if request["is_over"]:
        raise Superseded


def _told(error: PoemError) -> dict[str, Any]:
    return {"is": "error", "message": error.message, "hint": error.hint, "where": error.where}


def _own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output for the protocol alone: what a library prints goes to standard error."""
    requests, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return open(requests, "rb"), open(answers, "wb")


def main() -> None:
    """Serve until the app goes."""
    # The terminal's ctrl-c and hang-up are the app's business; it ends this process by closing the pipe.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    from core import i18n
    from core.base_folder import go_offline
    from core.model.allocator import keep_freed_memory

    i18n.use()
    go_offline()
    keep_freed_memory()  # before torch
    server = Server(*_own_pipes())
    server.send({"state": {"status": "starting", "doing": ""}})
    threading.Thread(target=server.read, daemon=True).start()
    server.work(Path(sys.argv[1]))


if __name__ == "__main__":
    main()

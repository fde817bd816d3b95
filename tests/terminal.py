"""A real terminal for the app: a pseudo-terminal whose output an emulator (pyte) draws.

A test sees what a person sees and types what a person types.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import pyte

WAIT_S = 60.0
KEYS = {
    "enter": "\r", "escape": "\x1b", "tab": "\t", "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C",
    "left": "\x1b[D", "home": "\x1b[H", "end": "\x1b[F", "pageup": "\x1b[5~", "pagedown": "\x1b[6~",
    "backspace": "\x7f", "delete": "\x1b[3~", "f1": "\x1bOP", "f2": "\x1bOQ", "f3": "\x1bOR", "f4": "\x1bOS",
    "f5": "\x1b[15~", "f6": "\x1b[17~", "f7": "\x1b[18~", "f8": "\x1b[19~", "f9": "\x1b[20~", "f10": "\x1b[21~",
    "f11": "\x1b[23~", "f12": "\x1b[24~", "space": " ",
}  # fmt: skip


def key_bytes(key: str) -> bytes:
    """What a terminal sends for a key: a name of `KEYS`, `ctrl+X`, or text as it is."""
    if key.startswith("ctrl+") and len(key) == 6:
        return bytes([ord(key[-1]) & 0x1F])
    return KEYS.get(key, key).encode("utf-8")


class Terminal:
    """A program in a terminal of so many cells."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        columns: int = 80,
        rows: int = 24,
        cwd: str = "/",
    ) -> None:
        """Start it."""
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.bytes_out = 0
        self.raw = b""
        self.exit_code: int | None = None
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(cwd)
                os.execve(command[0], list(command), dict(environment))
            finally:
                os._exit(127)
        self.resize(columns, rows)

    def resize(self, columns: int, rows: int) -> None:
        """Make the terminal another size; the program is told."""
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def press(self, *keys: str) -> Self:
        """Type keys, one after another."""
        for key in keys:
            os.write(self.descriptor, key_bytes(key))
            self.read(0.3 if key == "escape" else 0.02)  # an escape that is followed at once begins a sequence
        return self

    def read(self, seconds: float) -> None:
        """Draw what the program writes, for so long."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            if not select.select([self.descriptor], [], [], left_s)[0]:
                return
            try:
                data = os.read(self.descriptor, 65536)
            except OSError:  # the other end is closed: the program has gone
                data = b""
            if not data:
                return
            self.bytes_out += len(data)
            self.raw = self.raw[-200_000:] + data
            self._stream.feed(data)

    @property
    def lines(self) -> list[str]:
        """The screen, line by line; of a wide character's two cells the second is empty."""
        buffer, screen = self.screen.buffer, self.screen
        return ["".join(buffer[y][x].data for x in range(screen.columns)).rstrip() for y in range(screen.lines)]

    @property
    def text(self) -> str:
        """The screen in one piece."""
        return "\n".join(self.lines)

    def until(self, holds: Callable[[], bool], *, what: str = "", timeout_s: float = WAIT_S) -> Self:
        """Wait until something holds."""
        until_s = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < until_s, f"waited {timeout_s:.0f} s in vain for {what}\n{self.text}"
            self.read(0.05)
        return self

    def see(self, *texts: str, timeout_s: float = WAIT_S) -> Self:
        """Wait until all of these are on the screen."""
        return self.until(lambda: all(text in self.text for text in texts), what=repr(texts), timeout_s=timeout_s)

    def miss(self, text: str, *, timeout_s: float = WAIT_S) -> Self:
        """Wait until this is on the screen no more."""
        return self.until(lambda: text not in self.text, what=f"no {text!r}", timeout_s=timeout_s)

    def wait(self, *, timeout_s: float = WAIT_S) -> int:
        """Wait until the program has ended; its exit code, negative for a signal."""
        until_s = time.monotonic() + timeout_s
        while self.exit_code is None:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            if found:
                self.exit_code = os.waitstatus_to_exitcode(status)
                break
            assert time.monotonic() < until_s, f"it didn't end in {timeout_s:.0f} s\n{self.text}"
            self.read(0.05)
        return self.exit_code

    def hang_up(self) -> None:
        """Close the terminal, as a cut connection does."""
        os.close(self.descriptor)
        self.descriptor = -1

    def wait_silently(self, *, timeout_s: float = 20.0) -> int:
        """The same without its terminal."""
        until_s = time.monotonic() + timeout_s
        while self.exit_code is None:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            if found:
                self.exit_code = os.waitstatus_to_exitcode(status)
            assert time.monotonic() < until_s, "it didn't end"
            time.sleep(0.02)
        return self.exit_code

    def __enter__(self) -> Self:
        """The terminal."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Leave nothing behind."""
        if self.exit_code is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        if self.descriptor >= 0:
            os.close(self.descriptor)

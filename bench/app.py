"""How quick the app is, in a real pseudo-terminal: `make bench-app`. Ratios are of interleaved runs, in one go.

Every figure is what a person would feel: from a key to the bytes that paint it, from the start to the first frame. With
`--data FILE` the rows are of that file; without, they are the bundled poems over and over.
"""

from __future__ import annotations

import argparse
import fcntl
import itertools
import json
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from core.data.rows import SAMPLE, read_rows

HERE = Path(__file__).resolve().parent
ROWS, MANY_ROWS = 25_007, 1_000_000
EVENTS_PER_S = 50
UNWANTED = ("TEXTUAL", "SSH_", "PYTHONDONTWRITEBYTECODE")  # an installed program has its bytecode
CURSOR = "›".encode()
TAB = b"Profile"
BARE = (
    "import textual.app, textual.screen, textual.scroll_view, textual.suggester, textual.theme, textual.containers\n"
    "from textual.widgets import Button, Footer, Input, OptionList, Static, TextArea\n"
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement."""

    what: str
    """In words."""
    measured: float
    """In `unit`."""
    most: float
    """What it may be."""
    unit: str
    """What it is counted in."""


class Session:
    """A program in a terminal, and when it wrote what."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it, in a terminal of 120 × 40."""
        self.started_s = time.perf_counter()
        self.bytes_out = 0
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execve(command[0], list(command), dict(environment))
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))

    def until(self, pattern: bytes, *, timeout_s: float = 60.0) -> float:
        """Read until it has written this; the moment."""
        seen = b""
        until_s = time.perf_counter() + timeout_s
        while pattern not in seen:
            left_s = until_s - time.perf_counter()
            if left_s <= 0 or not select.select([self.descriptor], [], [], left_s)[0]:
                raise TimeoutError(f"it never wrote {pattern!r}")
            data = os.read(self.descriptor, 65536)
            self.bytes_out += len(data)
            seen = seen[-200_000:] + data
        return time.perf_counter()

    def drain(self, seconds: float) -> int:
        """Read for so long; the bytes that came."""
        before = self.bytes_out
        until_s = time.perf_counter() + seconds
        while (left_s := until_s - time.perf_counter()) > 0:
            if select.select([self.descriptor], [], [], left_s)[0]:
                self.bytes_out += len(os.read(self.descriptor, 65536))
        return self.bytes_out - before

    def press(self, keys: str) -> float:
        """Type; the moment."""
        now_s = time.perf_counter()
        os.write(self.descriptor, keys.encode("utf-8"))
        return now_s

    def end(self) -> None:
        """Kill it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the measurements happen."""

    folder: Path
    """For everything temporary."""

    def environment(self, *, ssh: bool = False) -> dict[str, str]:
        """Variables under which the app neither greets nor remembers."""
        own = {key: value for key, value in os.environ.items() if not key.startswith(UNWANTED)}
        state = self.folder / "state"
        state.mkdir(mode=0o700, exist_ok=True)
        (state / "app.json").write_text('{"pane": "data"}', encoding="utf-8")
        own |= {"POEMTUI_STATE": str(state), "POEMTUI_RUNS": str(self.folder / "runs"), "TERM": "xterm-256color"}
        own |= {"POEMTUI_CONFIG": str(self.folder / "none.toml"), "LC_ALL": "C.UTF-8", "LANGUAGE": "en"}
        return own | ({"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"} if ssh else {})

    @contextmanager
    def app(self, *arguments: str, ssh: bool = False) -> Iterator[Session]:
        """The app in a terminal of 120 × 40."""
        session = Session([sys.executable, "-m", "tui", *arguments], self.environment(ssh=ssh))
        try:
            yield session
        finally:
            session.end()

    def rows_file(self, name: str, count: int) -> str:
        """A JSONL of so many rows, made of the bundled poems."""
        path = self.folder / name
        rows = read_rows(SAMPLE).rows
        with path.open("w", encoding="utf-8") as file:
            for number, row in zip(range(count), itertools.cycle(rows)):
                columns = {"instruction": row.instruction, "input": row.input, "output": row.output}
                file.write(json.dumps({**columns, "title": f"{number}"}, ensure_ascii=False) + "\n")
        return str(path)


def imports() -> Figure:
    """What importing the app takes beyond Textual and its widgets."""
    code = BARE + "import time; start = time.perf_counter()\nimport tui.app, tui.panes.dataset\n"
    code += "print((time.perf_counter() - start) * 1000)"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(UNWANTED)}
    command = [sys.executable, "-c", code]
    subprocess.check_output(command, env=environment)  # once, so that the bytecode is there
    taken = [float(subprocess.check_output(command, env=environment)) for _turn in range(11)]
    what = "own modules imported before the first frame, over Textual and its widgets"
    return Figure(what, min(taken), 25, "ms")  # whatever else the machine does only adds


def first_frame(place: Place) -> Figure:
    """The first frame, against an empty app's."""
    ours, empty = [], []
    for _ in range(7):
        session = Session([sys.executable, str(HERE / "empty_app.py")], place.environment())
        empty.append(session.until(TAB) - session.started_s)
        session.end()
        with place.app() as app:
            ours.append(app.until(TAB) - app.started_s)
    ratio = statistics.median(ours) / statistics.median(empty)
    return Figure(f"first frame, × an empty app's {statistics.median(empty) * 1000:.0f} ms", ratio, 1.3, "×")


def rows_visible(place: Place, data: str) -> Figure:
    """Rows of the file after the first frame."""
    taken = []
    for _ in range(5):
        with place.app(data) as app:
            framed_s = app.until(TAB)
            taken.append(app.until(CURSOR) - framed_s)
    return Figure(f"{ROWS:,} rows visible after the first frame", statistics.median(taken), 0.3, "s")


def many_rows(place: Place) -> Iterator[Figure]:
    """A large JSONL: rows at once, all of it soon."""
    path = place.rows_file("many.jsonl", MANY_ROWS)
    with place.app(path) as app:
        framed_s = app.until(TAB)
        yield Figure("of a 1,000,000-row JSONL the first rows", app.until(CURSOR) - framed_s, 0.3, "s")
        pressed_s = app.press("\x1b[B")
        moved_ms = (app.until(CURSOR) - pressed_s) * 1000
        yield Figure("… and the cursor moves in it while it is indexed", moved_ms, 100, "ms")
        yield Figure("… and all of it is there", app.until(b"1,000,000 rows") - framed_s, 2, "s")
    os.unlink(path)


def keys(place: Place, data: str, *, ssh: bool, most_ms: float) -> Iterator[Figure]:
    """From a key to the cell that it paints, while a run writes events; then searching; then the memory."""
    with place.app(data, ssh=ssh) as app:
        app.until(CURSOR)
        app.drain(3)
        taken = [_latency(app, "\x1b[A" if turn % 3 == 2 else "\x1b[B", CURSOR) for turn in range(150)]
        name = "with the settings for SSH" if ssh else "locally"
        yield Figure(f"key to painted cell, p95, {name}, {EVENTS_PER_S} events/s", _p95(taken), most_ms, "ms")
        if not ssh:
            app.press("/")
            app.drain(0.5)
            taken = []
            for word in ("春風", "明月", "山水", "白雲", "江上", "秋日", "落花", "夜雨", "天子", "故人"):
                taken += [_latency(app, letter, f"{ROWS:,}".encode()) for letter in word]
                taken += [_latency(app, "\x7f", f"{ROWS:,}".encode()) for _letter in word]
            yield Figure(f"a keystroke in the search over {ROWS:,} rows, p95", _p95(taken), 50, "ms")
            resident = psutil.Process(app.pid).memory_info().rss
            yield Figure(f"resident memory with {ROWS:,} rows open", resident / 2**20, 120, "MiB")


def _latency(app: Session, key: str, pattern: bytes) -> float:
    app.drain(0.08)
    pressed_s = app.press(key)
    return (app.until(pattern, timeout_s=5) - pressed_s) * 1000


def _p95(taken: Sequence[float]) -> float:
    return statistics.quantiles(taken, n=20)[-1]


def quiet(place: Place, data: str) -> Iterator[Figure]:
    """An app that nobody touches."""
    with place.app(data) as app:
        app.until(CURSOR)
        app.drain(8)
        process = psutil.Process(app.pid)
        before = sum(process.cpu_times()[:2])
        written = app.drain(20)
        used = sum(process.cpu_times()[:2]) - before
    yield Figure("processor of an idle app", 100 * used / 20, 1, "%")
    yield Figure("bytes to the terminal when nothing changes", written / 20, 0, "B/s")


def train_pane(place: Place, data: str) -> Figure:
    """What a run in the Train pane costs the link."""
    with place.app(data) as app:
        app.until(CURSOR)
        app.drain(2)
        app.press("3")
        app.drain(4)
        written = app.drain(15) / 15
    return Figure(f"bytes to the terminal, Train pane, {EVENTS_PER_S} events/s, 120 × 40", written / 1024, 4, "KB/s")


@contextmanager
def steady_run(place: Place) -> Iterator[None]:
    """A run that writes events at a steady pace until it is ended."""
    command = [sys.executable, str(HERE / "steady_run.py"), str(place.folder / "runs"), str(EVENTS_PER_S)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield
    finally:
        process.kill()
        process.wait()


def main() -> int:
    """Measure everything and say what was met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help=f"a file of {ROWS:,} rows")
    parser.add_argument("--only", help="only the measurements whose function's name holds this")
    args = parser.parse_args()
    met = True
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        data = args.data or place.rows_file("rows.jsonl", ROWS)

        def busy(measure: Callable[[], Iterator[Figure]]) -> Iterator[Figure]:
            with steady_run(place):
                yield from measure()

        steps: dict[str, Callable[[], Iterator[Figure]]] = {
            "imports": lambda: iter([imports()]),
            "first_frame": lambda: iter([first_frame(place)]),
            "rows_visible": lambda: iter([rows_visible(place, data)]),
            "many_rows": lambda: many_rows(place),
            "quiet": lambda: quiet(place, data),
            "keys": lambda: busy(lambda: keys(place, data, ssh=False, most_ms=33)),
            "keys_ssh": lambda: busy(lambda: keys(place, data, ssh=True, most_ms=66)),
            "train_pane": lambda: busy(lambda: iter([train_pane(place, data)])),
        }
        for name, step in steps.items():
            if args.only is None or args.only in name:
                for figure in step():
                    good = figure.measured <= figure.most
                    met = met and good
                    mark = "ok  " if good else "MISS"
                    value = f"{figure.measured:8.2f} {figure.unit:4} (≤ {figure.most:g})"
                    print(f"{mark} {value}  {figure.what}", flush=True)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

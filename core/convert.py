"""Anything that `datasets` reads → one JSONL file, once, in a process of its own.

Heavy: it loads pyarrow and pandas, so only `python -m core.convert` and tests import what it needs. It must not know
the recipe; what it writes is for `core.data.rows` to read. Nothing is unpickled, no code of a data set runs.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit
from urllib.request import getproxies

from core import i18n
from core.data.columns import FIELDS
from core.data.formats import read_records
from core.data.records import Flaw, quoted_names
from core.data.text_file import read_text_file
from core.errors import PoemError
from core.i18n import _

_BUILDERS = {
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}
_TABLES = (".csv", ".tsv")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
_SAVED_FOLDER_FILES = ("state.json", "dataset_dict.json")
_PROBE_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was written."""

    rows: int
    """Rows in the new file; at least 1."""
    columns: tuple[str, ...]
    """Columns in it, in order of first sight."""
    left_out: tuple[str, ...]
    """Columns of the source that hold neither text nor numbers, or gave way to a mapped one."""
    path: str
    """The new file."""


def is_hub_id(source: str) -> bool:
    """Whether a source can only mean a data set on the hub: no path here, and like `name` or `owner/name`."""
    looks_like_file = _suffix(source) in (*_BUILDERS, *_TABLES)
    return _HUB_ID.fullmatch(source) is not None and not looks_like_file and not os.path.exists(source)


def check_target(source: str, out: Path, *, force: bool) -> None:
    """Refuse a place that must not or can't be written, before any work is done.

    Raises:
        PoemError: it exists and `force` is off, it is a folder or the source itself, or its folder is missing.
    """
    if out.is_dir() or not out.name:
        raise PoemError(_("the new file's name is that of a folder"), where=str(out))
    if not out.parent.is_dir():
        raise PoemError(_("there is no folder {folder}").format(folder=out.parent), where=str(out))
    if out.exists() and os.path.exists(source) and os.path.samefile(source, out):
        raise PoemError(_("the new file is the source itself"), hint=_("Give it another name."), where=str(out))
    if (out.exists() or out.is_symlink()) and not force:
        raise PoemError(
            _("the file exists already"), hint=_("Give another name, or --force to replace it."), where=str(out)
        )


def convert(
    source: str,
    out: Path,
    *,
    split: str | None = None,
    columns: Mapping[str, str] | None = None,
    force: bool = False,
) -> Conversion:
    """Write a source's rows as JSONL: text and numbers stay, lists of texts are joined by line feeds, nulls left out.

    Args:
        source: a parquet, arrow, CSV, TSV or JSON file, a folder of such, a saved `datasets` folder, or a hub id.
        out: the new file; written beside its place and then renamed, so that it is whole or not there.
        split: which split of a source that has several; None for "train".
        columns: "instruction", "input", "output" → the column that becomes it; others keep their names.
        force: replace `out` where it exists.

    Raises:
        PoemError: the source can't be read, has no such split or column, or holds no rows; `out` can't be written.
    """
    check_target(source, out, force=force)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with _open_records(source, split) as records, part.open("x", encoding="utf-8", newline="\n") as stream:
            rows, kept, left_out = _write_rows(records, stream, columns or {}, source)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, out)
    except OSError as error:
        message = _("the new file can't be written: {reason}").format(reason=error.strerror or error)
        raise PoemError(message, where=str(out)) from error
    finally:
        part.unlink(missing_ok=True)
    return Conversion(rows, kept, left_out, str(out))


@contextlib.contextmanager
def _open_records(source: str, split: str | None) -> Iterator[Iterator[Mapping[str, Any]]]:
    """The source's records one by one; whatever the libraries say against it becomes one `PoemError`."""
    import datasets

    # What it logs is said again, better, by the error that it raises.
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)

    def guarded(data: Any) -> Iterator[Mapping[str, Any]]:
        try:
            yield from data
        except PoemError:
            raise
        except Exception as error:
            raise _unreadable(source, error) from error

    with tempfile.TemporaryDirectory(prefix="poemtui-convert-") as cache:
        try:
            data = _load(source, split, cache)
        except PoemError:
            raise
        except ConnectionError as error:
            raise PoemError(
                _("there is no such file or folder, and the hub can't be reached to look for a data set of that name"),
                hint=_("Check the path, or download the data set where there is a network and convert its files."),
                where=source,
            ) from error
        except StopIteration:
            raise PoemError(_("the source holds no rows"), where=source) from None
        except Exception as error:
            # Readers of a dozen formats raise whatever they please; the cause is named and chained.
            raise _unreadable(source, error) from error
        yield guarded(data)


def _unreadable(source: str, error: Exception) -> PoemError:
    lines = str(error).strip().splitlines() or [""]
    reason = f"{type(error).__name__}: {lines[0]}"
    return PoemError(_("the source can't be read: {reason}").format(reason=reason[:400]), where=source)


def _load(source: str, split: str | None, cache: str) -> Any:
    """An iterable over one split of the source, without columns whose values would have to be decoded."""
    import datasets

    path = Path(source)
    if path.is_dir():
        if any((path / name).is_file() for name in _SAVED_FOLDER_FILES):
            loaded = datasets.load_from_disk(source)
        else:
            loaded = datasets.load_dataset(source, cache_dir=cache, streaming=True)
    elif path.is_file():
        if split is not None and split != "train":
            raise _no_split(source, split, ())
        if _suffix(source) in _TABLES:
            return _table_records(path)
        builder = _BUILDERS.get(_suffix(source))
        if builder is None:
            raise PoemError(
                _("the name doesn't tell what kind of file this is"),
                hint=_("It must end in one of: {names}").format(names=", ".join((*_BUILDERS, *_TABLES))),
                where=source,
            )
        loaded = datasets.load_dataset(builder, data_files=source, cache_dir=cache, streaming=True)
    elif is_hub_id(source):
        loaded = datasets.load_dataset(source)
    else:
        raise PoemError(_("there is no such file or folder"), where=source)
    return _only_plain_columns(_choose_split(loaded, source, split))


def _table_records(path: Path) -> Iterator[Mapping[str, Any]]:
    """The rows of a CSV or TSV file, all text: `datasets` would make a number of 007 and nothing of the word "null"."""
    records = read_records(read_text_file(path).text, path)
    for number, value in enumerate(records.values):
        if not isinstance(value, dict):
            line = records.lines_of([number])[0]
            problem = value.problem if isinstance(value, Flaw) else _("is no row of a table")
            raise PoemError(
                _("row {row} {problem}").format(row=number, problem=problem),
                where=_("{path}, line {line}").format(path=path, line=line),
            )
        yield value


def _choose_split(loaded: Any, source: str, split: str | None) -> Any:
    import datasets

    if isinstance(loaded, (datasets.Dataset, datasets.IterableDataset)):
        if split is not None and split != "train":
            raise _no_split(source, split, ())
        return loaded
    name = split or "train"
    if name not in loaded:
        raise _no_split(source, name, tuple(map(str, loaded)))
    return loaded[name]


def _no_split(source: str, split: str, names: Sequence[str]) -> PoemError:
    known = _("The splits are: {names}").format(names=quoted_names(names)) if names else _("The source has only one.")
    return PoemError(_("there is no split {name}").format(name=quoted_names([split])), hint=known, where=source)


def _only_plain_columns(data: Any) -> Any:
    """Images and sound are never decoded: such columns arrive as their paths and bytes, and are left out later."""
    import datasets

    for name, feature in (data.features or {}).items():
        if isinstance(feature, (datasets.Image, datasets.Audio, datasets.Video)):
            data = data.cast_column(name, type(feature)(decode=False))
    return data


def _write_rows(
    records: Iterator[Mapping[str, Any]], stream: Any, columns: Mapping[str, str], source: str
) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """Write every record; return the number of rows, the columns written and those left out."""
    seen: dict[str, None] = {}
    kept: dict[str, None] = {}
    used: set[str] = set()
    rows = 0
    for number, record in enumerate(records):
        seen.update(dict.fromkeys(record))
        if number == 0:
            _check_columns(columns, list(record), source)
        row: dict[str, str | int | float] = {}
        for name, column in _names(record, columns):
            value = _plain_value(record[column])
            if value is None:
                continue
            if name in columns and not isinstance(value, str):
                raise PoemError(
                    _("row {row} holds a number in {column}, not text").format(
                        row=number, column=quoted_names([column])
                    ),
                    where=source,
                )
            row[name] = value
            used.add(column)
        kept.update(dict.fromkeys(row))
        # A lone surrogate can't be written as UTF-8; escaped, it reaches the reader, who names the row.
        line = json.dumps(row, ensure_ascii=False)
        stream.write((line if line.isascii() or _is_utf8(line) else json.dumps(row)) + "\n")
        rows += 1
    if not rows:
        raise PoemError(_("the source holds no rows"), where=source)
    if not kept:
        raise PoemError(
            _("no column holds text or numbers; the columns are: {names}").format(names=quoted_names(seen)),
            where=source,
        )
    return rows, tuple(kept), tuple(name for name in seen if name not in used)


def _names(record: Mapping[str, Any], columns: Mapping[str, str]) -> list[tuple[str, str]]:
    """Pairs of the name that is written and the column it is taken from."""
    mapped = [(field, columns[field]) for field in FIELDS if columns.get(field) in record]
    taken = set(columns.values())
    return mapped + [(name, name) for name in record if name not in taken and name not in columns]


def _check_columns(columns: Mapping[str, str], found: Sequence[str], source: str) -> None:
    missing = [column for column in columns.values() if column not in found]
    if missing:
        raise PoemError(
            _("there is no column {names}").format(names=quoted_names(missing)),
            hint=_("The columns are: {names}").format(names=quoted_names(found)),
            where=source,
        )


def _plain_value(value: object) -> str | int | float | None:
    """Text or a number as a row may hold it; None for what it may not."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (list, tuple)) and value and all(isinstance(part, str) for part in value):
        return "\n".join(value)
    return None


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _suffix(source: str) -> str:
    return Path(source.lower().removesuffix(".gz")).suffix


def _hub_answers() -> bool:
    """Whether the hub's port opens; taken for granted behind a proxy, where only the proxy can tell."""
    if getproxies().get("https") or getproxies().get("all"):
        return True
    address = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((address.hostname or "", port), timeout=_PROBE_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _end(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


def main(arguments: Sequence[str]) -> int:
    """The child process of `poemcore convert`.

    Args:
        arguments: one JSON object: `source`, `out`, `split`, `columns`, `force`.

    Returns:
        0 with a `Conversion` as JSON on stdout, or 2 with {"error": {"message", "hint", "where"}} there.
    """
    signal.signal(signal.SIGTERM, _end)
    wanted = json.loads(arguments[0])
    i18n.use()
    if is_hub_id(wanted["source"]) and not _hub_answers():
        # Without a network the library would try again and again; offline, it looks into its cache and says at once.
        os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        with contextlib.redirect_stdout(sys.stderr):
            done = convert(
                wanted["source"],
                Path(wanted["out"]),
                split=wanted["split"],
                columns=wanted["columns"],
                force=wanted["force"],
            )
    except PoemError as error:
        print(json.dumps({"error": {"message": error.message, "hint": error.hint, "where": error.where}}))
        return 2
    except KeyboardInterrupt:
        return 130
    print(json.dumps(asdict(done)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A file on disk → its text: plain or gzip, UTF-8 only, with every reason why it can't be read told apart.

It must not know what the text means: formats are `core.data.formats`' business.
"""

from __future__ import annotations

import codecs
import difflib
import gzip
import hashlib
import io
import os
import shlex
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path

from core.errors import PoemError
from core.i18n import N_, _

MAX_EXPANDED_BYTES = 2 * 1024**3
"""A gzip file that grows past this is refused: no file of poems does, a gzip bomb does."""

_GZIP_MAGIC = b"\x1f\x8b"
_REFUSED_BOMS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_CONVERTIBLE_MAGIC = ((b"PAR1", "Parquet"), (b"ARROW1", "Arrow"))
_ARCHIVE_MAGIC = ((b"PK\x03\x04", "zip"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))
_DATASET_FOLDER_FILES = ("dataset_info.json", "state.json", "dataset_dict.json")
_CONVERT_HINT = N_("Make a JSONL file of it first: poemcore convert {path} rows.jsonl")
# This many characters beyond ASCII before the first faulty byte can't be chance: the file is UTF-8, and damaged.
_SURELY_UTF8 = 4


@dataclass(frozen=True, slots=True)
class TextFile:
    """The whole text of one file."""

    path: Path
    """Where it lies, as the caller named it."""
    size_bytes: int
    """Bytes on disk, still compressed where the file is gzip."""
    sha256: str
    """Hex digest of those bytes."""
    text: str
    """The decoded text without the byte order mark; may be empty."""


def read_text_file(path: Path) -> TextFile:
    """Read a plain or gzip file of UTF-8 text. Gzip is told by its first bytes, whatever the name says.

    Raises:
        PoemError: no such file, not a regular file, unreadable, damaged gzip, or not UTF-8.
    """
    data = _read_bytes(path)
    compressed = data.startswith(_GZIP_MAGIC)
    expanded = _expand(data, path) if compressed else data
    return TextFile(path, len(data), hashlib.sha256(data).hexdigest(), _decode(expanded, path, compressed=compressed))


def _read_bytes(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            saved = any((path / name).is_file() for name in _DATASET_FOLDER_FILES)
            hint = _(_CONVERT_HINT).format(path=shlex.quote(str(path))) if saved else _("Name a file in it.")
            raise PoemError(_("this is a folder, not a data file"), hint=hint, where=str(path))
        if not stat.S_ISREG(mode):
            raise PoemError(_("this is not a regular file"), hint=_("Save the rows to a file."), where=str(path))
        return path.read_bytes()
    except FileNotFoundError:
        raise PoemError(_("there is no such file"), hint=_near_names(path), where=str(path)) from None
    except OSError as error:
        message = _("the file can't be read: {reason}").format(reason=error.strerror or error)
        raise PoemError(message, where=str(path)) from None
    except ValueError:
        # A NUL or an unpaired surrogate: no file system has such a name.
        raise PoemError(_("this is no possible file name"), where=str(path)) from None


def _near_names(path: Path) -> str:
    try:
        near = difflib.get_close_matches(path.name, os.listdir(path.parent), n=3)
    except OSError:
        return _("There is no folder {folder} either.").format(folder=path.parent)
    return _("Did you mean: {names}").format(names=", ".join(near)) if near else _("Check the path: data.path.")


def _expand(data: bytes, path: Path) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            expanded = stream.read(MAX_EXPANDED_BYTES + 1)
    except EOFError:
        raise PoemError(
            _("the gzip file ends early: it looks truncated"), hint=_("Copy or download it again."), where=str(path)
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise PoemError(
            _("the gzip file is damaged: {reason}").format(reason=error),
            hint=_("Copy or download it again."),
            where=str(path),
        ) from None
    if len(expanded) > MAX_EXPANDED_BYTES:
        raise PoemError(
            _("the gzip file expands to more than {limit} bytes").format(limit=f"{MAX_EXPANDED_BYTES:,}"),
            hint=_("Expand it yourself if you trust it, and keep only the rows you need."),
            where=str(path),
        )
    return expanded


def _decode(data: bytes, path: Path, *, compressed: bool) -> str:
    for magic, name in _CONVERTIBLE_MAGIC:
        if data.startswith(magic):
            hint = _(_CONVERT_HINT).format(path=shlex.quote(str(path)))
            raise PoemError(_("this is a file of the {name} format").format(name=name), hint=hint, where=str(path))
    for magic, name in _ARCHIVE_MAGIC:
        if data.startswith(magic):
            raise PoemError(
                _("this file is packed with {name}").format(name=name),
                hint=_("Unpack it first; of packed files only gzip is read."),
                where=str(path),
            )
    for bom, name in _REFUSED_BOMS:
        if data.startswith(bom):
            raise PoemError(
                _("the file is {encoding}, not UTF-8 (byte order mark at byte 0, line 1)").format(encoding=name),
                hint=_iconv(name, path, compressed=compressed),
                where=str(path),
            )
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise _not_utf8(data, error, path, compressed=compressed) from None


def _not_utf8(data: bytes, error: UnicodeDecodeError, path: Path, *, compressed: bool) -> PoemError:
    line = data.count(b"\n", 0, error.start) + 1
    where = _("{path}, line {line}").format(path=path, line=line)
    place = {"offset": error.start, "line": line, "byte": f"0x{data[error.start]:02X}"}
    before = data[: error.start].decode("utf-8")
    if len(before) - len(before.encode("ascii", "ignore")) >= _SURELY_UTF8:
        if error.reason == "unexpected end of data":
            message = _("the file ends in the middle of a character, at byte {offset}, line {line}: it looks truncated")
        else:
            message = _("the text is UTF-8 up to byte {offset}, line {line}, and damaged there (byte {byte})")
        return PoemError(message.format(**place), hint=_("Copy or download the file again."), where=where)
    encoding = _likely_encoding(data)
    if encoding is None:
        message = _("the text is not UTF-8: byte {byte} at byte {offset}, line {line}")
        return PoemError(message.format(**place), hint=_iconv("ENCODING", path, compressed=compressed), where=where)
    message = _("the text is not UTF-8 but probably {encoding}: byte {byte} at byte {offset}, line {line}")
    return PoemError(
        message.format(encoding=encoding, **place), hint=_iconv(encoding, path, compressed=compressed), where=where
    )


def _likely_encoding(data: bytes) -> str | None:
    """GB18030 or Big5, whichever decodes all bytes and finds more 。 and ， there; None where neither decodes them."""
    scores: dict[str, int] = {}
    for name in ("GB18030", "BIG5"):
        try:
            text = data.decode(name)
        except UnicodeDecodeError:
            continue
        scores[name] = text.count("，") + text.count("。")
    return max(scores, key=lambda name: scores[name]) if scores else None


def _iconv(encoding: str, path: Path, *, compressed: bool) -> str:
    source = shlex.quote(str(path))
    name = Path(path.name.removesuffix(".gz"))
    target = shlex.quote(f"{name.stem}-utf8{name.suffix}")
    if compressed:
        command = f"gzip -dc {source} | iconv -f {encoding} -t UTF-8 > {target}"
    else:
        command = f"iconv -f {encoding} -t UTF-8 {source} > {target}"
    return _("Convert it: {command}").format(command=command)

"""Bytes → text: what is no file, no UTF-8 or broken gzip is refused with its place and the command to mend it."""

from __future__ import annotations

import codecs
import gzip
import json
import os
from pathlib import Path

import pytest

from core.data import text_file
from core.data.rows import read_rows
from core.errors import PoemError

ROW = {"instruction": "續寫", "input": "白日依山盡，黃河入海流。", "output": "欲窮千里目，更上一層樓。"}
POEM = "[\n" + json.dumps(ROW, ensure_ascii=False) + "\n]"


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def refused(path: Path | str) -> PoemError:
    with pytest.raises(PoemError) as caught:
        read_rows(path)
    return caught.value


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    write(tmp_path / "tang_25007.json", "[]")
    error = refused(tmp_path / "tang_2507.json")
    assert error.message == "there is no such file"
    assert error.where == str(tmp_path / "tang_2507.json")
    assert "tang_25007.json" in error.hint
    assert str(tmp_path / "nowhere") in refused(tmp_path / "nowhere" / "x.json").hint


def test_things_that_are_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "folder" in refused(tmp_path).message
    write(tmp_path / "state.json", "{}")
    assert "poemcore convert" in refused(tmp_path).hint
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refused(tmp_path / "pipe").message
    (tmp_path / "loop").symlink_to("loop")
    assert "can't be read" in refused(tmp_path / "loop").message
    (tmp_path / "dangling").symlink_to("nothing")
    assert "no such file" in refused(tmp_path / "dangling").message
    assert "no possible file name" in refused("a\x00b").message
    assert "can't be read" in refused("a" * 5000).message

    def deny(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", deny)
    error = refused(write(tmp_path / "x.json", "[]"))
    assert error.message == "the file can't be read: Permission denied"


@pytest.mark.parametrize(("encoding", "name"), [("gbk", "GB18030"), ("big5", "BIG5")])
def test_chinese_bytes_that_are_not_utf8(tmp_path: Path, encoding: str, name: str) -> None:
    data = POEM.encode(encoding)
    offset = next(at for at, byte in enumerate(data) if byte > 0x7F)
    path = write(tmp_path / "唐 詩.json", data)
    error = refused(path)
    assert error.message.startswith(f"the text is not UTF-8 but probably {name}: byte 0x{data[offset]:02X}")
    assert error.message.endswith(f"at byte {offset}, line 2")
    assert error.where == f"{path}, line 2"
    assert error.hint == f"Convert it: iconv -f {name} -t UTF-8 '{path}' > '唐 詩-utf8.json'"
    packed = refused(write(tmp_path / "x.json.gz", gzip.compress(data)))
    assert f"gzip -dc {tmp_path}/x.json.gz | iconv -f {name} -t UTF-8 > x-utf8.json" in packed.hint


def test_bytes_of_no_known_encoding(tmp_path: Path) -> None:
    error = refused(write(tmp_path / "x.json", b'[{"output": "\xff\xff"}]'))
    assert error.message == "the text is not UTF-8: byte 0xFF at byte 13, line 1"
    assert "iconv -f ENCODING" in error.hint


def test_damaged_and_cut_utf8_is_not_called_gbk(tmp_path: Path) -> None:
    data = POEM.encode()
    at = data.index("，".encode())
    damaged = refused(write(tmp_path / "x.json", data[:at] + b"\xff" + data[at:]))
    assert damaged.message == f"the text is UTF-8 up to byte {at}, line 2, and damaged there (byte 0xFF)"
    cut = POEM.encode()[: POEM.encode().index("樓".encode()) + 2]
    error = refused(write(tmp_path / "x.json", cut))
    assert error.message.startswith(f"the file ends in the middle of a character, at byte {len(cut) - 2}, line 2")


@pytest.mark.parametrize(
    ("bom", "encoding"),
    [
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_other_unicode_encodings_are_refused_by_name(tmp_path: Path, bom: bytes, encoding: str) -> None:
    error = refused(write(tmp_path / "x.json", bom + POEM.encode(encoding)))
    name = encoding[:6].upper()
    assert error.message.startswith(f"the file is {name}, not UTF-8")
    assert f"iconv -f {name} -t UTF-8" in error.hint


def test_broken_gzip(tmp_path: Path) -> None:
    packed = gzip.compress(POEM.encode())
    assert "looks truncated" in refused(write(tmp_path / "x.json.gz", packed[:-10])).message
    assert "damaged" in refused(write(tmp_path / "x.json.gz", packed[:20] + b"\x00\x00\x00" + packed[23:])).message
    assert "damaged" in refused(write(tmp_path / "x.json.gz", packed + b"junk")).message


def test_a_gzip_bomb_is_not_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert text_file.MAX_EXPANDED_BYTES == 2 * 1024**3
    monkeypatch.setattr(text_file, "MAX_EXPANDED_BYTES", 1000)
    error = refused(write(tmp_path / "x.json.gz", gzip.compress(b" " * 1001)))
    assert error.message == "the gzip file expands to more than 1,000 bytes"
    assert "white space" in refused(write(tmp_path / "x.json.gz", gzip.compress(b" " * 1000))).message


@pytest.mark.parametrize(
    ("head", "message", "hint"),
    [
        (b"PAR1", "the Parquet format", "poemcore convert"),
        (b"ARROW1", "the Arrow format", "poemcore convert"),
        (b"PK\x03\x04", "packed with zip", "Unpack"),
        (b"\x28\xb5\x2f\xfd", "packed with zstd", "Unpack"),
    ],
)
def test_files_of_other_kinds(tmp_path: Path, head: bytes, message: str, hint: str) -> None:
    error = refused(write(tmp_path / "x.json", head + b"\xff" * 50))
    assert message in error.message
    assert hint in error.hint

"""Run by the Python of a venv that poemtui's wheel was installed into: what must travel inside the wheel does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import core


def try_out(*arguments: str) -> str:
    """What `poemcore` prints for these arguments; ends the program where it fails."""
    command = [str(Path(sys.executable).with_name("poemcore")), *arguments]
    print(*command)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


if not Path(core.__file__).is_relative_to(sys.prefix):
    sys.exit(f"core was imported from {core.__file__}, not from the wheel")
if try_out("--version") != f"poemtui {core.__version__}\n":
    sys.exit("poemcore --version printed something else")
if try_out("--help", "--lang=zh-Hans") == try_out("--help", "--lang=en"):
    sys.exit("the message catalogues are not in the wheel")
# The preset, the sample, the built-in base's tokenizer and the rhyme table, each by name.
try_out("verse", "builtin:tang-sample", "--json")
try_out("encode", "builtin:tang-sample", "--row", "0", "--profile", "tang-tiny-cpu", "--json")
print("the wheel is sound")

"""The tokenizer that a review counts with: the base's own, or one that a person names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from core.base_folder import read_json, resolve_base
from core.encoding.encode import Encoder, make_encoder
from core.errors import PoemError
from core.i18n import _
from core.model.load import load_tokenizer, read_embeddings
from core.paths import path_of
from core.plain import plain
from core.profile.schema import Profile

_FILE, _CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"


def find_encoder(profile: Profile, tokenizer: str = "") -> tuple[Encoder, str] | None:
    """What encodes the rows of a profile, and whose tokenizer it has; None where its base isn't on this machine.

    Args:
        profile: a checked one.
        tokenizer: a base, or a folder with tokenizer.json alone, in the place of the profile's base; "" for that.

    Raises:
        PoemError: the tokenizer can't be read, or lacks what the template needs.
    """
    name = tokenizer or profile.model.base
    try:
        folder = resolve_base(name)
    except PoemError:
        if not tokenizer:
            return None
        return make_encoder(_read_alone(path_of(tokenizer)), template=profile.data.template), name
    embeddings = read_embeddings(folder) if profile.data.template == "auto" else None
    return make_encoder(load_tokenizer(folder), template=profile.data.template, embeddings=embeddings), name


def _read_alone(folder: Path) -> Any:
    """A tokenizer without a model beside it: only its end token and chat template are configured."""
    where = plain(str(folder))
    if not (folder / _FILE).is_file():
        raise PoemError(
            _("there is no {file} in the folder").format(file=_FILE),
            hint=_("Give the folder of a model in Hugging Face format, or of its tokenizer alone."),
            where=where,
        )
    config = read_json(folder / _CONFIG_FILE) if (folder / _CONFIG_FILE).is_file() else {}
    end, template = config.get("eos_token"), config.get("chat_template")
    end = end.get("content") if isinstance(end, dict) else end
    texts = {"eos_token": end, "chat_template": template}
    kept = {key: text for key, text in texts.items() if isinstance(text, str)}
    try:
        return PreTrainedTokenizerFast(tokenizer_file=str(folder / _FILE), **kept)  # type: ignore[no-untyped-call]
    except Exception as error:  # the library raises whatever it likes at such files
        raise PoemError(
            _("the tokenizer can't be read: {reason}").format(reason=plain(str(error)[:300])),
            hint=_("Check tokenizer.json and tokenizer_config.json, or copy the folder again."),
            where=where,
        ) from error

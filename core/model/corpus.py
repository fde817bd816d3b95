"""The pre-training corpus: poems as documents, a small share of them in the shape of a chat, packed into sequences.

Everything here is a pure function of (seed, epoch), so a resumed run sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

import gzip
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from core.errors import PoemError
from core.i18n import _
from core.model.verse_tokenizer import END_OF_TEXT, IM_END, IM_START, special_id

# One poem in 99, from the first, until there are 2,000: a rule that anyone can repeat on the same file.
HELD_OUT_EVERY = 99
HELD_OUT_POEMS = 2000

CHAT_SHARE = 0.12
SYSTEM_SHARE = 0.3
SYSTEM_PROMPTS = ("你是一位精通唐詩的詩人。", "你熟讀唐宋詩，善於續寫。", "You are a helpful assistant.")
# None is the sentence of the usual training file: what that one asks for is for fine-tuning to teach.
INSTRUCTIONS = (
    "請續寫這首詩。",
    "請把下面的詩句接下去。",
    "給出上聯，寫出其餘的句子。",
    "補全這首詩：",
    "請根據開頭兩句，寫完全詩。",
    "這是一首古詩的開頭，請繼續寫。",
    "依照格律，接著寫：",
    "請作一首詩，前兩句如下。",
)

# Enough documents to fill sequences almost without gaps, few enough that a window is well mixed.
_WINDOW_DOCUMENTS = 768


@dataclass(frozen=True, slots=True)
class Corpus:
    """The poems of a corpus file, split once and for all."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]


def read_corpus(path: Path) -> Corpus:
    """Read a text file (plain or gzip) of one poem a line.

    Raises:
        PoemError: the file is missing, not UTF-8 text, or too short to hold anything out.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            poems = [line.strip() for line in file if line.strip()]
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise PoemError(
            _("the corpus can't be read: {reason}").format(reason=error),
            hint=_("Give a UTF-8 text file, plain or gzip, with one poem a line."),
            where=str(path),
        ) from error
    held_out = poems[::HELD_OUT_EVERY][:HELD_OUT_POEMS]
    kept = [poem for i, poem in enumerate(poems) if i % HELD_OUT_EVERY or i // HELD_OUT_EVERY >= HELD_OUT_POEMS]
    if not kept:
        raise PoemError(
            _("the corpus holds {count} poems, too few to train on").format(count=len(poems)),
            hint=_("Give one poem a line, at least {count}.").format(count=2 * HELD_OUT_EVERY),
            where=str(path),
        )
    return Corpus(tuple(kept), tuple(held_out))


def encode_poems(tokenizer: Tokenizer, poems: Sequence[str]) -> list[list[int]]:
    """The ids of each poem, without any end."""
    return [encoding.ids for encoding in tokenizer.encode_batch(list(poems), add_special_tokens=False)]


class Documents:
    """The training poems as documents of ids, drawn anew each epoch."""

    def __init__(self, tokenizer: Tokenizer, poems: Sequence[str], *, seed: int) -> None:
        """Encode all poems once.

        Args:
            tokenizer: with the three special tokens.
            poems: whole poems; the first couplet ends at the first `。`.
            seed: of the order and of which poems take the shape of a chat.
        """
        self.seed = seed
        self._poems = encode_poems(tokenizer, poems)
        self._end, self._im_start, self._im_end = (
            special_id(tokenizer, token) for token in (END_OF_TEXT, IM_START, IM_END)
        )
        self._full_stop = tokenizer.encode("。").ids
        self._newline = tokenizer.encode("\n").ids
        texts = (*INSTRUCTIONS, *SYSTEM_PROMPTS, "system", "user", "assistant")
        self._texts = {text: tokenizer.encode(text).ids for text in texts}

    def epoch(self, epoch: int) -> Iterator[list[int]]:
        """Every poem once, in a new order, each ended by the end-of-text token.

        Every other plain poem begins with that token too, so that a poem can be started from nothing and a couplet be
        continued with nothing before it.
        """
        draw = random.Random(f"{self.seed}/{epoch}")
        order = list(range(len(self._poems)))
        draw.shuffle(order)
        for index in order:
            poem = self._poems[index]
            if draw.random() < CHAT_SHARE:
                yield self._as_chat(poem, draw)
            else:
                yield [*([self._end] if index % 2 else []), *poem, self._end]

    def _as_chat(self, poem: list[int], draw: random.Random) -> list[int]:
        length = len(self._full_stop)
        stops = (i + length for i in range(len(poem)) if poem[i : i + length] == self._full_stop)
        couplet_end = next(stops, len(poem) // 2)
        ids: list[int] = []
        if draw.random() < SYSTEM_SHARE:
            ids += self._turn("system", self._texts[draw.choice(SYSTEM_PROMPTS)])
        instruction = self._texts[draw.choice(INSTRUCTIONS)]
        ids += self._turn("user", [*instruction, *self._newline, *poem[:couplet_end]])
        ids += self._turn("assistant", poem[couplet_end:])
        return [*ids[: -len(self._newline)], self._end]

    def _turn(self, role: str, content: list[int]) -> list[int]:
        return [self._im_start, *self._texts[role], *self._newline, *content, self._im_end, *self._newline]


def pack(documents: Iterator[list[int]], *, sequence_tokens: int) -> Iterator[list[list[int]]]:
    """Group documents into sequences of at most `sequence_tokens`, first-fit decreasing within a window.

    A document that is longer than a sequence is cut off at its end.
    """
    while window := [document[:sequence_tokens] for document in itertools.islice(documents, _WINDOW_DOCUMENTS)]:
        window.sort(key=len, reverse=True)
        sequences: list[list[list[int]]] = []
        room: list[int] = []
        for document in window:
            at = next((i for i, free in enumerate(room) if free >= len(document)), None)
            if at is None:
                sequences.append([])
                room.append(sequence_tokens)
                at = len(room) - 1
            sequences[at].append(document)
            room[at] -= len(document)
        # Long documents fill the first sequences; a batch should hold some of every form.
        random.Random(len(sequences)).shuffle(sequences)
        yield from sequences

"""Token ids → text, as soon as each character is certain.

Byte-level BPE splits an ideograph over two to four tokens; until the last one the decoder writes U+FFFD in its place.
Everything before such a tail is certain. It must not know models, prompts or screens.
"""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

_REPLACEMENT = "\ufffd"
# Tokens waiting for the rest of a character. A character has at most 4 bytes, so more than a few are not text at all;
# past this many, all but the last of them are given up as U+FFFD, so that a long run of such bytes costs no more each.
_LONGEST_WAIT_TOKENS = 32
# An unfinished character has at most 3 bytes, so at most 3 tokens.
_TOKENS_OF_A_CHARACTER = 4


class Detokeniser:
    """The text of one sequence, released piece by piece; the pieces joined are the decoding of the whole."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Start with no tokens.

        Args:
            tokenizer: any; special tokens are left out of the text.
        """
        self._tokenizer = tokenizer
        # The last finished piece, by which some decoders know whether a space follows, and what came since.
        self._window: list[int] = []
        self._context_tokens = 0
        # Characters of the window's text that were released already.
        self._released = 0

    def push(self, token_id: int) -> str:
        """Take one token and return the text that it made certain, often one character, sometimes none."""
        self._window.append(token_id)
        text = self._decode()
        certain = len(text.rstrip(_REPLACEMENT))
        if certain == len(text):
            piece = text[self._released :]
            self._window = self._window[self._context_tokens :]
            self._context_tokens = len(self._window)
            self._released = len(self._decode())
            return piece
        if len(self._window) - self._context_tokens > _LONGEST_WAIT_TOKENS:
            piece = text[self._released : -1]
            self._window = self._window[-_TOKENS_OF_A_CHARACTER:]
            self._context_tokens = 0
            self._released = len(self._decode()) - 1
            return piece
        piece = text[self._released : certain]
        self._released = max(self._released, certain)
        return piece

    def finish(self) -> str:
        """The rest, when no more tokens come: a U+FFFD that the text holds, or one for an unfinished character."""
        piece = self._decode()[self._released :]
        self._window = []
        self._context_tokens = self._released = 0
        return piece

    def _decode(self) -> str:
        text = self._tokenizer.decode(self._window, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text)

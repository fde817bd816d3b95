"""Tokens as a model sees them, in running lines: what it is given, what it learns to write, what is cut off.

It knows no tokenizer: texts come in, coloured text goes out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.content import Content
from textual.widgets import Static

from core.i18n import _
from tui.plain import content

_TOKENS_SHOWN = 1500
_GIVEN, _LEARNED, _CUT = "$text-muted", "bold $text-success", "$text-error strike"
# Every other token stands on this, so that one sees where they end.
_SHADE = " on $boost"


class TokenStrip(Static):
    """The tokens of one row."""

    DEFAULT_CSS = "TokenStrip { height: auto; width: 1fr; }"

    def show(self, tokens: Sequence[str], supervised_from: int, *, beyond: int = 0) -> None:
        """Show other tokens.

        Args:
            tokens: their texts, untrusted.
            supervised_from: index of the first that the model learns to write.
            beyond: how many at the end are cut off; 0: none.
        """
        self.update(token_content(tokens, supervised_from, beyond=beyond))


def token_content(tokens: Sequence[str], supervised_from: int, *, beyond: int = 0) -> Content:
    """The tokens one after the other; a line feed is shown and followed, and every other token is shaded."""
    parts = list(_parts(tokens[:_TOKENS_SHOWN], supervised_from, len(tokens) - beyond))
    if len(tokens) > _TOKENS_SHOWN:
        more = _("… and {count} more tokens").format(count=len(tokens) - _TOKENS_SHOWN)
        parts.append(content("\n" + more, _GIVEN))
    return Content("").join(parts)


def _parts(tokens: Sequence[str], supervised_from: int, cut_from: int) -> Iterator[Content]:
    for index, token in enumerate(tokens):
        style = _GIVEN if index < supervised_from else _LEARNED
        style = (_CUT if index >= cut_from else style) + (_SHADE if index % 2 else "")
        yield content(token.replace("\n", "␊"), style)
        if token.endswith("\n") and index < len(tokens) - 1:
            yield Content("\n")

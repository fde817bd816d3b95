"""The row under the cursor: its poem, what was found of it, what the recipe makes of it and, asked for, its tokens.

It shows one row and knows nothing of the list that it comes from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual import work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.timer import Timer

from core.data.row import BadRow, Row
from core.errors import PoemError
from core.i18n import _
from tui.panes.dataset_poem import bad_row_content, example_content, poem_content, rest_content
from tui.plain import content
from tui.widgets.block import Block
from tui.widgets.token_strip import TokenStrip
from tui.workbench import ProfileState, Workbench

if TYPE_CHECKING:
    from core.client import EncodedRow

_REST_S = 0.15


class RowDetail(VerticalScroll):
    """One row, from top to bottom."""

    def __init__(self, *, id: str) -> None:
        """Nothing yet."""
        super().__init__(id=id, classes="detail")
        self._row: Row | BadRow | None = None
        self._draw = 0
        self._with_tokens = False
        self._tokens_wanted = False
        self._rest: Timer | None = None
        self._profile = ProfileState("")

    @property
    def with_tokens(self) -> bool:
        """Whether tokens are shown."""
        return self._with_tokens

    def compose(self) -> ComposeResult:
        """The poem, the tokens, the example and what else the row holds."""
        yield Block(id="poem")
        yield Block(id="row-findings")
        yield Block(id="tokens-head")
        yield TokenStrip(id="tokens")
        yield Block(id="example")
        yield Block(id="rest")

    def on_mount(self) -> None:
        """Follow the profile, which makes the examples."""
        self._show_tokens_or_not()
        self.watch(self.app, "profile_state", self._profile_changed)

    def show(self, row: Row | BadRow | None, nothing: str = "") -> None:
        """Show another row at its first draw, or why there is none."""
        if row is self._row and row is not None:
            return
        self._row, self._draw = row, 0
        if isinstance(row, Row):
            shown = poem_content(row)
        else:
            shown = content(nothing, "$text-muted") if row is None else bad_row_content(row)
        self.query_one("#poem", Block).update(shown)
        self.query_one("#rest", Block).update(rest_content(row) if isinstance(row, Row) else Content(""))
        self.scroll_home(animate=False)
        self._show_example()
        self._want_tokens()

    def show_findings(self, found: Content) -> None:
        """Say what was found of the row."""
        block = self.query_one("#row-findings", Block)
        block.display = bool(found)
        block.update(found)

    def show_tokens(self, wanted: bool) -> None:
        """Show the tokens of this row and of those to come, or no longer."""
        self._with_tokens = wanted
        self._show_tokens_or_not()
        self._want_tokens()

    def draw_again(self) -> None:
        """Make what the next epoch would make of the row."""
        self._draw += 1
        self._show_example()
        self._want_tokens()

    def on_show(self) -> None:
        """Ask for tokens that weren't asked for while nobody looked."""
        if self._tokens_wanted:
            self._want_tokens()

    def _profile_changed(self, now: ProfileState) -> None:
        before, self._profile = self._profile, now
        if (before.profile, before.problems) != (now.profile, now.problems):
            self._show_example()
        if before.text != now.text:
            self._want_tokens()

    def _show_example(self) -> None:
        self.query_one("#example", Block).update(self._example())

    def _example(self) -> Content:
        profile = self._profile.profile
        if not isinstance(self._row, Row) or not self._profile.source:
            return Content("")
        if profile is None:
            return content(_("The profile has problems: no task makes anything of this row."), "$text-muted")
        from core.data.recipe import make_example

        try:
            system, seed = profile.data.system_prompt, profile.train.seed
            example = make_example(self._row, profile.data.tasks, system_prompt=system, seed=seed, epoch=self._draw)
        except PoemError as error:
            return content(str(error), "$text-error")
        return example_content(example, self._draw)

    def _show_tokens_or_not(self) -> None:
        for selector in ("#tokens-head", "#tokens"):
            self.query_one(selector).display = self._with_tokens and isinstance(self._row, Row)

    def _want_tokens(self) -> None:
        """Ask for the tokens once the cursor has come to rest: each asks a model process, if not for long."""
        self._tokens_wanted = self._with_tokens and isinstance(self._row, Row)
        self._show_tokens_or_not()
        if self._rest is not None:
            self._rest.stop()
        if self._tokens_wanted:
            self._tell(content(_("tokens …"), "$text-muted"))
            self._rest = self.set_timer(_REST_S, self._ask_for_tokens)

    def _ask_for_tokens(self) -> None:
        if self.is_on_screen and self._tokens_wanted and isinstance(self._row, Row):
            self._tokens_wanted = False
            self._encode(self._row, self._draw, self._profile)

    @work(exclusive=True, group="tokens", exit_on_error=False)
    async def _encode(self, row: Row, draw: int, profile: ProfileState) -> None:
        from core.client import Superseded

        model = cast(Workbench, self.app).model
        try:
            encoded = await model.encode(profile.text, str(profile.base_dir), row, draw)
        except Superseded:
            return
        except PoemError as error:
            if row is self._row:
                self._tell(content(" ".join(str(error).split()), "$text-error"))
            return
        if row is self._row and draw == self._draw:
            self._tell(tokens_head(encoded))
            self.query_one(TokenStrip).show(encoded.tokens, encoded.supervised_from, beyond=encoded.over_cutoff)

    def _tell(self, head: Content) -> None:
        """Say something about tokens that aren't there, or aren't yet."""
        self.query_one("#tokens-head", Block).update(head)
        self.query_one(TokenStrip).show((), 0)


def tokens_head(encoded: EncodedRow) -> Content:
    """How many tokens, how many of them are learned, by which task and template."""
    learned = max(0, len(encoded.tokens) - encoded.over_cutoff - encoded.supervised_from)
    parts = [
        content(_("{count} tokens").format(count=len(encoded.tokens)), "bold $text-primary"),
        content(_("{count} learned").format(count=learned), "bold $text-success"),
    ]
    if encoded.over_cutoff:
        over = _("{count} beyond data.cutoff_len").format(count=encoded.over_cutoff)
        parts.append(content(over, "bold $text-error"))
    parts += [content(_("task {task}").format(task=encoded.task)), content(encoded.template, "$text-muted")]
    return Content("  ").join(parts)

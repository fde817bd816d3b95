"""The one error that a person can cause and mend. It knows nothing of how it will be shown."""

from __future__ import annotations


class PoemError(Exception):
    """Something in the user's input that they can mend.

    The command line prints it and exits 2; the app shows it; a training process records it as an event.
    """

    def __init__(self, message: str, *, hint: str = "", where: str = "") -> None:
        """Keep the three parts apart, so that every front end can lay them out.

        Args:
            message: what is wrong, one sentence.
            hint: how to mend it; empty where the message says it already.
            where: the file, line, row or key concerned; empty where there is none.
        """
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def __str__(self) -> str:
        """The parts as `where: message` and, on a line of its own, the hint."""
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}\n{self.hint}" if self.hint else head


class WorkError(PoemError):
    """What was asked was right, and yet the work failed: a disk, a device or a number gave out.

    The command line prints it and exits 1.
    """

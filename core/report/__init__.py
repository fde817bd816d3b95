"""A written report as data: sections of blocks, and the same as Markdown and as terminal text."""

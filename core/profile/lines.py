"""Where each key of a TOML text stands. It knows no keys and checks nothing; a broken text gives what can be found."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

KeyPath = tuple[str | int, ...]
"""`("train", "epochs")`; an index (from 0) for an element of a list: `("data", "tasks", 1, "name")`."""

_DEEPEST = 8
"""Levels of nested values looked into; no key of a profile is deeper."""


def find_lines(text: str) -> dict[KeyPath, int]:
    """The line, from 1, on which each table, key and list element begins; of one defined twice, the first."""
    # Imported here: only reading a profile pays for the parser.
    import tree_sitter
    import tree_sitter_toml

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language()))
    lines: dict[KeyPath, int] = {}
    lengths: dict[KeyPath, int] = {}
    root = parser.parse(text.encode("utf-8", errors="replace")).root_node
    for node in root.named_children:
        if node.type == "pair":
            _add_pair(node, (), lines, 0)
        elif node.type in ("table", "table_array_element"):
            header = node.named_children[:1]
            parts = _key_parts(header[0]) if header else ()
            path = _table_path(parts, lengths)
            if node.type == "table_array_element" and parts:
                path = _table_path(parts[:-1], lengths) + parts[-1:]
                lines.setdefault(path, node.start_point.row + 1)
                lengths[path] = lengths.get(path, 0) + 1
                path = (*path, lengths[path] - 1)
            lines.setdefault(path, node.start_point.row + 1)
            for child in node.named_children[1:]:
                if child.type == "pair":
                    _add_pair(child, path, lines, 0)
    return lines


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """The line of `path`, or of the nearest thing around it that has one."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def _table_path(parts: tuple[str, ...], lengths: Mapping[KeyPath, int]) -> KeyPath:
    """A header's path: a part that names a list of tables means the list's last table so far."""
    path: KeyPath = ()
    for part in parts:
        path = (*path, part)
        if path in lengths:
            path = (*path, lengths[path] - 1)
    return path


def _add_pair(node: Node, prefix: KeyPath, lines: dict[KeyPath, int], depth: int) -> None:
    children = node.named_children
    if not children:
        return
    path = prefix
    for part in _key_parts(children[0]):
        path = (*path, part)
        lines.setdefault(path, node.start_point.row + 1)
    if len(children) > 1:
        _add_value(children[-1], path, lines, depth + 1)


def _add_value(node: Node, path: KeyPath, lines: dict[KeyPath, int], depth: int) -> None:
    if depth > _DEEPEST:
        return
    if node.type == "inline_table":
        for child in node.named_children:
            if child.type == "pair":
                _add_pair(child, path, lines, depth)
    elif node.type == "array":
        elements = [child for child in node.named_children if child.type not in ("comment", "ERROR")]
        for index, child in enumerate(elements):
            lines.setdefault((*path, index), child.start_point.row + 1)
            _add_value(child, (*path, index), lines, depth + 1)


def _key_parts(node: Node) -> tuple[str, ...]:
    """The names in a bare, quoted or dotted key, in order."""
    parts: list[str] = []
    pending = [node]
    while pending:
        current = pending.pop()
        if current.type == "dotted_key":
            pending.extend(reversed(current.named_children))
        elif current.type in ("bare_key", "quoted_key"):
            text = (current.text or b"").decode("utf-8", errors="replace")
            parts.append(_unquote(text) if current.type == "quoted_key" else text)
    return tuple(parts)


def _unquote(text: str) -> str:
    try:
        return next(iter(tomllib.loads(f"{text} = 0")))
    except tomllib.TOMLDecodeError:
        return text

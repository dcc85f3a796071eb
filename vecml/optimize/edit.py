"""Changes to a text by the places of syntax nodes in it, one inside another too; the rest stays as it is written."""

import ast
from collections.abc import Callable

from vecml.optimize.syntax import lines_of


class Edits:
    """A file's text, and what is to stand in the place of some of its nodes."""

    def __init__(self, source: str) -> None:
        self._bytes = source.encode()
        self._starts = [0]
        for line in lines_of(source):
            self._starts.append(self._starts[-1] + len(line.encode()))
        self._edits: dict[tuple[int, int], Callable[[], str]] = {}

    def __bool__(self) -> bool:
        return bool(self._edits)

    def replace(self, node: ast.AST, text: Callable[[], str]) -> None:
        """Put what `text` gives in the node's place; `text` may ask `of` for the nodes inside, as they are changed."""
        self._edits[self._span(node)] = text

    def is_replaced(self, node: ast.AST) -> bool:
        """Whether something else stands in the node's place."""
        return self._span(node) in self._edits

    def of(self, node: ast.AST) -> str:
        """The node's text with all changes in it."""
        start, end = self._span(node)
        edit = self._edits.get((start, end))
        return edit() if edit else self._inside(start, end)

    def of_inside(self, node: ast.AST) -> str:
        """The node's text with the changes inside of it, and without the one that stands in its own place."""
        return self._inside(*self._span(node))

    def whole(self) -> str:
        """The file's text with all changes."""
        return self._inside(0, len(self._bytes))

    def insert(self, line: int, text: Callable[[], str]) -> None:
        """Put text before a line, counted from 1; after what was put there before."""
        at = (self._starts[line - 1], self._starts[line - 1])
        before = self._edits.get(at)
        self._edits[at] = (lambda: before() + text()) if before else text

    def insert_first(self, line: int, text: Callable[[], str]) -> None:
        """Put text before a line, and before what was put there."""
        at = (self._starts[line - 1], self._starts[line - 1])
        after = self._edits.get(at)
        self._edits[at] = (lambda: text() + after()) if after else text

    def original(self, first: int, last: int) -> str:
        """The lines from `first` to `last`, both counted from 1, as they were, without the end of the last."""
        return self._bytes[self._starts[first - 1] : self._starts[last]].decode().removesuffix("\n")

    def _span(self, node: ast.AST) -> tuple[int, int]:
        place = [getattr(node, name) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset")]
        return self._starts[place[0] - 1] + place[1], self._starts[place[2] - 1] + place[3]

    def _inside(self, start: int, end: int) -> str:
        parts: list[str] = []
        at = start
        for one, other in sorted(self._edits, key=lambda span: (span[0], -span[1])):
            if (one, other) != (start, end) and at <= one and other <= end:
                parts += [self._bytes[at:one].decode(), self._edits[(one, other)]()]
                at = other
        return "".join([*parts, self._bytes[at:end].decode()])

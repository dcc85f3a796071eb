"""A rich console that prints no character of foreign text that a terminal would obey."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from vecml.foreign_text import clean


class CleanConsole(Console):
    """Cleans each piece of text as it is rendered, wherever it comes from; rich's own codes are made later."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else clean(text, keep="\n"), style, control)

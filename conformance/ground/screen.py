"""Standard output on which text from outside is only text, whatever prints it."""

from collections.abc import Iterable
from typing import IO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from conformance.ground.text import for_terminal


class Screen(Console):
    """A console of rich's that takes no text for markup, and prints no control character.

    Colours are its own: they are added after this.
    """

    def __init__(self, *, file: IO[str] | None = None, width: int | None = None) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, file=file, width=width)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """See rich: the pieces of what is printed; also called for each cell of a table."""
        for segment in super().render(renderable, options):
            if segment.control:
                continue  # it moves the cursor, and nothing here does
            yield Segment(for_terminal(segment.text), segment.style)

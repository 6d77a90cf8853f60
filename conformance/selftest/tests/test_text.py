"""Text from outside does nothing where it is shown: on a terminal, in a log, in Markdown."""

import io
import re
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, ConsoleOptions
from rich.control import Control
from rich.segment import ControlType, Segment
from rich.table import Table

from conformance.ground import text
from conformance.ground.screen import Screen
from conformance.ground.text import Markdown

# Characters that do something somewhere, and what is between them.
ODD = st.text(alphabet="a :#[`|\\\t\r\n\x1b\x85\u202e\u2028\ufe0f", max_size=30)
UNSEEN = re.compile("[\x1b\x85\u202e\u2028\ufe0f]")


@pytest.mark.parametrize(
    ("given_text", "seen"),
    [
        ("plain words", "plain words"),
        ("two\nlines\r\nand\ttab", "two lines and tab"),
        ("\x1b[31mred\u202e", "?[31mred?"),
        ("lone\rreturn", "lone?return"),
    ],
)
def test_a_plain_text_is_one_visible_line(given_text: str, seen: str) -> None:
    assert text.plain(given_text) == seen


def test_a_story_keeps_lines_and_tabs() -> None:
    assert text.story("a\r\nb\n\tc\x1b\rd") == "a\nb\n\tc??d"


@pytest.mark.parametrize(
    ("most", "shorten"), [(text.LONGEST, text.plain), (text.LONGEST_STORY, text.story)]
)
def test_a_long_text_is_cut_and_says_how_long_it_was(
    most: int, shorten: Callable[[str], str]
) -> None:
    whole = "x" * most
    assert shorten(whole) == whole
    note = f" ... (cut: it has {most + 1:,} characters)"
    assert shorten(whole + "x") == "x" * (most - len(note)) + note


def test_the_lengths_are_those_that_pages_bear() -> None:
    assert (text.LONGEST, text.LONGEST_STORY, text.LONGEST_BLOCK) == (1000, 20_000, 5000)
    block = text.fenced("x" * 5001).splitlines()[1]
    assert block.endswith(" ... (cut: it has 5,001 characters)")
    assert len(block) == 5000


def test_further_lines_are_indented_once() -> None:
    assert text.hanging("one") == "one"
    assert text.hanging("one\ntwo\n\n    three\n  four") == "one\n    two\n\n    three\n      four"
    assert text.reason("one\r\ntwo\r\n") == "one\n    two\n"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("::error::x", "?:error::x"),
        ("  ::set-output", "  ?:set-output"),
        ("a\n::b\r\n::c", "a\n?:b\n?:c"),
        ("a::b and a: b", "a::b and a: b"),
        (":", "?"),  # the next piece may begin with another one
        ("x ##[group]y", "x ?#[group]y"),
        ("# ## [a]", "# ## [a]"),
        ("\x1b]0;title\x07", "?]0;title?"),
        ("tab\tstays", "tab\tstays"),
    ],
)
def test_no_line_of_a_log_is_a_command(line: str, shown: str) -> None:
    assert text.for_terminal(line) == shown


@given(ODD)
def test_a_terminal_gets_no_control_character_and_the_same_width(odd: str) -> None:
    shown = text.for_terminal(odd)
    assert not UNSEEN.search(shown)
    assert not re.search(r"^\s*::|##\[", shown, re.M)
    assert len(shown) == len(odd.replace("\r\n", "\n"))


@pytest.mark.parametrize(
    ("given_text", "span"),
    [
        ("", ""),
        ("word", "`word`"),
        ("a`b", "``a`b``"),
        ("a``b`c", "```a``b`c```"),
        ("`a", "`` `a ``"),
        ("a`", "`` a` ``"),
        ("a|b", r"`a\|b`"),
        (r"a\|b", r"`a\|b`"),
        (r"a\\|b|", r"`a\\\|b\|`"),
        ("two\nlines", "`two lines`"),
    ],
)
def test_a_code_span_holds_its_text(given_text: str, span: str) -> None:
    assert text.inline(given_text) == span


@pytest.mark.parametrize(("ticks", "fence"), [(0, 3), (2, 3), (3, 4), (7, 8)])
def test_a_fence_is_longer_than_any_in_it(ticks: int, fence: int) -> None:
    inside = "`" * ticks + "\nmore `than` one"
    assert text.fenced(inside) == f"{'`' * fence}text\n{inside}\n{'`' * fence}"


def test_templates_show_text_as_code_and_markdown_as_it_is() -> None:
    assert text.for_markdown("*a*") == "`*a*`"
    assert text.for_markdown(Markdown("*a*")) == "*a*"
    assert [text.for_markdown(value) for value in (3, None)] == [3, None]
    for found in (text.inline("a"), text.inline(""), text.fenced("a")):
        assert text.for_markdown(found) == found


class Moving:
    """Something that moves the cursor before it says a word."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        yield Segment("\x1b[H", None, [(ControlType.HOME,)])
        yield Segment("word")


def test_a_screen_takes_text_only_for_text() -> None:
    file = io.StringIO()
    screen = Screen(file=file, width=20)
    screen.print("[bold]:smile: 12 [/]")
    screen.print("::error::\x1b[2J")
    screen.control(Control.clear())
    screen.print(Moving())
    screen.print()
    table = Table("h\x1b")
    table.add_row("##[x")
    screen.print(table)
    screen.print("x " * 11)
    said = file.getvalue()
    assert said.startswith("[bold]:smile: 12 [/]\n?:error::?[2J\nword\n")
    assert "h?" in said
    assert "?#[x" in said
    assert not re.search("[\x07\x1b]", said)
    assert max(map(len, said.splitlines())) == 20

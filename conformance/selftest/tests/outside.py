"""Text that does harm where it is shown, records full of that text, and checks of outputs.

Records are filled by their fields, so a new field has such a text by itself.
"""

import re
import types
import unicodedata
from collections.abc import Callable, Iterator
from enum import Enum
from html.parser import HTMLParser
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic import AwareDatetime, BaseModel

from conformance.ground.statuses import Status

# Each does something where it is shown raw: on a terminal, in the log of GitHub Actions, in
# Markdown, in HTML. A text begins with one, and has them all.
HARMS = {
    "clear": "\x1b[2J",
    "title": "\x1b]0;canary\x07",
    "c1": "\x9b31m",
    "bell": "\x07\x08\x7f\x00",
    "turned": "\u202e\u2066\u200f",
    "unseen": "\u200b\ufeff\u00ad\u2060\u3164",
    "broken": "\u2028\u2029\x85\x0b\x0c\x1e",
    "half": "\ud800",
    "command": "\n::error::canary\n  ::add-mask::canary\r\n##[error]canary",
    "line": "\n1 port passed, canary\n",
    "fence": "\n`````\n# canary\n",
    "code": "`canary`` ```",
    "link": "[canary](https://canary.example) ![canary](https://canary.example/x.png)",
    "cell": "canary|canary\\|canary \\",
    "strong": "**canary** __canary__ ~~canary~~ <b>canary</b>",
    "mention": "@canary #1 canary@canary.example https://canary.example www.canary.example",
    "script": "</script><script>canary</script><!-- canary",
    "attribute": "\"canary='canary'><canary>&lt;canary&gt;&#60;canary&#62;",
    "template": "{{ canary }}{% raw %}",
    "formula": "$\\frac{canary$",
    "path": "/../../canary",
    "emoji": ":smile: [bold red]canary[/]",
}
TEXT = "".join(HARMS.values())


def rotated(number: int) -> str:
    """The text from one of its harms on, and then the others."""
    parts = [*HARMS.values()]
    number %= len(parts)
    return "".join(parts[number:] + parts[:number])


def filled(model: type[BaseModel], texts: Callable[[str], str]) -> dict[str, Any]:
    """What a record is made of, with each field given; `texts` gives the text of a name."""
    return {
        name: _value(field.annotation, name, texts)
        for name, field in model.model_fields.items()
        if name != "format"
    }


def _value(kind: Any, name: str, texts: Callable[[str], str]) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _value(inner[0], name, texts)
    if origin in (Union, types.UnionType):
        return _value(inner[0], name, texts)
    if origin is Literal:
        return inner[0]
    if origin is list:
        return [_value(inner[0], name, texts)]
    if origin is dict:
        return {_value(inner[0], name, texts): _value(inner[1], name, texts)}
    if kind is str:
        return texts(name)
    if issubclass(kind, BaseModel):
        return filled(kind, texts)
    if issubclass(kind, Enum):
        return (Status.FAIL if kind is Status else next(iter(kind))).value
    return {bool: True, int: 1, float: 0.5, AwareDatetime: "2026-01-01T00:00:00Z"}[kind]


def texts_of(value: Any) -> Iterator[str]:
    """All texts in a record, or in what one is made of."""
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts_of(key)
            yield from texts_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)


def unseen(text: str) -> set[str]:
    """The characters of a text that are not seen, by their category, save line ends and tabs.

    U+3164 is a letter that no font shows.
    """
    bad = ("Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn")
    return {
        f"U+{ord(c):04X}"
        for c in text
        if (unicodedata.category(c) in bad and c not in "\n\t") or c == "\u3164"
    }


def assert_harmless_on_a_terminal(text: str) -> None:
    """Nor in a log of GitHub Actions, which looks for commands behind spaces and inside lines."""
    assert unseen(text) == set()
    assert "\U0001f604" not in text  # no name was looked up
    for line in text.splitlines():
        assert not line.strip().startswith("::"), line
        assert "##[" not in line


def assert_harmless_markdown(text: str) -> None:
    """All text from outside is in code, as a parser of CommonMark with tables sees it."""
    assert unseen(text) == set()
    parsed = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    for token in _flat(parsed):
        assert token.type not in ("html_block", "html_inline", "link_open", "image", "s_open")
        if token.type not in ("code_inline", "fence", "inline"):
            assert "canary" not in token.content, token
    rows = [token for token in parsed if token.type == "tr_open"]
    cells = [token for token in parsed if token.type in ("th_open", "td_open")]
    assert len(cells) == 8 * len(rows)


def _flat(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _flat(token.children or [])


class Page(HTMLParser):
    """What a browser finds in a page: scripts, elements, attributes."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """No element or attribute is the text's."""
        assert "canary" not in tag
        self.elements.append(tag)
        names = [name for name, _ in attrs]
        assert not [name for name in names if "canary" in name or name.startswith("on")]
        assert len({*names}) == len(names)
        for name, value in attrs:
            if name in ("href", "src", "style"):
                assert re.match(r"#|data:,|fill|stroke|font|$", (value or "").strip()), value
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_data(self, data: str) -> None:
        """No script and no style is the text's."""
        if self.elements and self.elements[-1] in ("script", "style"):
            assert self.cdata_elem is None or "canary" not in data

    def handle_comment(self, data: str) -> None:
        """None begins or ends in the text; Matplotlib writes one beside letters that it draws."""
        assert "<" not in data
        assert ">" not in data

    def handle_decl(self, decl: str) -> None:
        """The page's own."""
        assert "canary" not in decl


def assert_harmless_page(text: str) -> None:
    """Of HTML, or of SVG."""
    assert unseen(text) == set()
    page = Page(text)
    assert len({*page.ids}) == len(page.ids)

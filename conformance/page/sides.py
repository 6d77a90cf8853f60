"""Side by side: each step of the algorithm in every program, highlighted, with its formula."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from latex2mathml.converter import convert
from markupsafe import Markup, escape
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.token import Comment, Keyword, Name, Number, String, _TokenType
from pygments.util import ClassNotFound

from conformance.ground.places import ROOT
from conformance.page.excerpts import STEPS, Program
from conformance.suite.markers import Excerpt
from reference.cases.tables import Strict

TEXTS = Path(__file__).with_name("steps.toml")
# What is coloured, by its class in style.css. Everything else is plain, and takes no space.
CLASSES = {
    Keyword: "keyword",
    String: "string",
    Comment: "comment",
    Number: "number",
    Name.Function: "name",
    Name.Class: "name",
}


class _Text(Strict):
    title: str
    formula: str
    shapes: str
    look: str


@dataclass(frozen=True)
class Piece:
    """Lines of a file, highlighted, and where they are."""

    place: str
    html: Markup


@dataclass(frozen=True)
class Side:
    """One step of one program."""

    program: Program
    pieces: list[Piece]


@dataclass(frozen=True)
class Step:
    """One step: what to know about it, and its sources."""

    id: str
    title: str
    formula: Markup
    shapes: str
    look: str
    sides: list[Side]


def steps(programs: Iterable[Program]) -> list[Step]:
    """All steps with the sources of all programs that have them."""
    texts = tomllib.loads(TEXTS.read_text(encoding="utf-8"))
    shown = list(programs)
    found = []
    for step in STEPS:
        text = _Text.model_validate(texts[step])
        formula = Markup(convert(text.formula, display="block"))
        sides = [
            Side(program, [_piece(excerpt) for excerpt in program.steps[step]])
            for program in shown
            if step in program.steps
        ]
        found.append(Step(step, text.title, formula, text.shapes, text.look.strip(), sides))
    return found


def _piece(excerpt: Excerpt) -> Piece:
    try:
        lexer = get_lexer_for_filename(excerpt.file.name)
    except ClassNotFound:
        lexer = TextLexer()
    html = Markup("").join(_coloured(kind, text) for kind, text in lexer.get_tokens(excerpt.text))
    where = excerpt.file.relative_to(ROOT) if excerpt.file.is_relative_to(ROOT) else excerpt.file
    return Piece(f"{where}:{excerpt.line}", html)


def _coloured(kind: _TokenType, text: str) -> Markup:
    """A token, in the colour of its kind, or of the kind's parent."""
    found = next((CLASSES[t] for t in kind.split() if t in CLASSES), None)
    return Markup('<span class="{}">{}</span>').format(found, text) if found else escape(text)

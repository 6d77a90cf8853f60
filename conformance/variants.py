"""Correct variants of the C port: what must never be rejected, listed in `variants.toml`."""

import shutil
import tomllib
from pathlib import Path

from pydantic import Field

from conformance.ports import MANIFEST, PORTS, Port, load
from reference.case_tables import Strict

CATALOGUE = Path(__file__).parent / "variants.toml"


class Variant(Strict):
    """The C port with another compiler, other flags or other lines."""

    id: str = Field(min_length=1)
    compiler: str
    flags: list[str]
    patches: list[list[str]] = []


def catalogue() -> list[Variant]:
    """All variants, in the order of the file."""
    table = tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))
    return [Variant.model_validate(entry) for entry in table["variant"]]


def make(variant: Variant, folder: Path) -> Port:
    """Write the variant as a port folder of its own.

    Raises ValueError if a patch's old text does not occur exactly once in the C port.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(PORTS / "c", folder)
    manifest = folder / MANIFEST
    flags = ", ".join(f'"{flag}"' for flag in variant.flags)
    text = manifest.read_text(encoding="utf-8").replace('["gcc", "', f'["{variant.compiler}", "')
    manifest.write_text(text.replace('"-O2"', flags), encoding="utf-8")
    source = folder / "backprop.c"
    text = source.read_text(encoding="utf-8")
    for old, new in variant.patches:
        if text.count(old) != 1:
            raise ValueError(f"variant {variant.id}: {old!r} occurs {text.count(old)} times")
        text = text.replace(old, new)
    source.write_text(text, encoding="utf-8")
    return load(folder)

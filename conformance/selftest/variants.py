"""Correct variants of the C port, which must never be rejected, listed in `variants.toml`."""

import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from conformance.ground.places import PORTS
from conformance.targets.manifest import MANIFEST, Port, load
from reference.cases.tables import Strict

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
    patch(folder, variant.patches)
    return load(folder).alone()


def patch(folder: Path, patches: Sequence[Sequence[str]], files: str = "*.[ch]") -> None:
    """Replace text of a port's sources, the C port's without `files`: pairs of old and new text.

    Raises ValueError if an old text does not occur exactly once in all of them.
    """
    for old, new in patches:
        texts = {path: path.read_text(encoding="utf-8") for path in folder.glob(files)}
        count = sum(text.count(old) for text in texts.values())
        if count != 1:
            raise ValueError(f"{old!r} occurs {count} times in {files} of {folder.name}")
        [source] = [path for path, text in texts.items() if old in text]
        source.write_text(texts[source].replace(old, new), encoding="utf-8")

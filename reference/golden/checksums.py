"""SHA-256 of golden files, in one manifest beside them, in the form of `sha256sum --check`.

A golden file that was edited by hand, cut off or mixed up in a merge is found when it is read.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from reference.files import write_atomically

MANIFEST = "SHA256SUMS"


def record(folder: Path, written: Iterable[Path]) -> None:
    """Rewrite the manifest of a folder, with the files that were just written.

    The others keep their old checksum: this run cannot vouch for them. Deleted files are left
    out.
    """
    known = _read(folder) | {path.name: sha256(path) for path in written}
    kept = {name: digest for name, digest in sorted(known.items()) if (folder / name).exists()}
    lines = [f"{digest}  {name}\n" for name, digest in kept.items()]
    write_atomically(folder / MANIFEST, "".join(lines))


def problem(path: Path) -> str | None:
    """Why a file is not the recorded one, or None."""
    recorded = _read(path.parent).get(path.name)
    if recorded is None:
        return f"is not in {MANIFEST} beside it"
    return None if recorded == sha256(path) else f"is not the file that {MANIFEST} has"


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read(folder: Path) -> dict[str, str]:
    """The checksums of a folder by the files' names; other lines are ignored."""
    try:
        lines = (folder / MANIFEST).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    pairs = [line.split("  ", 1) for line in lines if "  " in line]
    return {name: digest for digest, name in pairs}

"""Mutants of a port's source: made by the tool universalmutator, written as ports, built."""

import ast
import hashlib
import re
import shutil
import subprocess
import venv
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType

from conformance.ground.places import BUILD, PORTS
from conformance.targets import build, launch
from conformance.targets.manifest import Build, Port, Target, load

TOOL, VERSION = "universalmutator", "1.14.1"
PATTERNS = {"c": "*.[ch]", "numba_cpu": "*.py"}
SOURCES = {
    port: tuple(sorted(path.name for path in (PORTS / port).glob(pattern)))
    for port, pattern in PATTERNS.items()
}
FOLDER = BUILD / "mutation"
# How C is compiled to be run fast, and to be run with AddressSanitizer.
QUICK = "-O0 -w"
SANITIZED = "-O1 -Wall -Wextra -Werror -fsanitize=address"
NO_COMMENT = "/\ue000"

Key = tuple[str, str, str, str]  # a mutant's port, file, old line and new line


@dataclass(frozen=True)
class Mutant:
    """A source file of a port with one line changed; `old` and `new` are that line, stripped."""

    port: str
    file: str
    text: str
    line: int = 0
    old: str = ""
    new: str = ""

    @property
    def key(self) -> Key:
        """The key that an entry of equivalent.toml has for it."""
        return self.port, self.file, self.old, self.new


def original(port: str, file: str) -> Mutant:
    """The port itself, as a mutant without a change.

    C comments are left out, since the tool does not touch a line that has one.
    """
    text = (PORTS / port / file).read_text(encoding="utf-8")
    if not file.endswith(".py"):
        text = re.sub(r"\s*/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), text, flags=re.S)
    return Mutant(port, file, text)


def generate(itself: Mutant, rules: Path | None = None) -> list[Mutant]:
    """All mutants that the tool makes of a file, by its own rules or by others.

    Installs the tool if necessary.
    """
    tools, folder = FOLDER / "venv" / "bin", FOLDER / "sources" / itself.port / itself.file
    if not (tools / "mutate").exists():
        venv.create(tools.parent, with_pip=True, clear=True)
        install = ["install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([str(tools / "pip"), *install, f"{TOOL}=={VERSION}"], check=True)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "mutants").mkdir(parents=True)
    name = Path(itself.file).name
    # The tool takes what follows /* for a comment, also in Python, in the name of a file.
    kept = itself.text.replace("/*", NO_COMMENT) if name.endswith(".py") else itself.text
    (folder / name).write_text(kept, encoding="utf-8")
    command = [str(tools / "mutate"), name, "--noCheck", "--mutantDir", "mutants"]
    command += ["--only", str(rules)] if rules else []
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    paths = sorted((folder / "mutants").iterdir(), key=lambda path: int(path.name.split(".")[2]))
    texts = [path.read_text(encoding="utf-8").replace(NO_COMMENT, "/*") for path in paths]
    return [
        Mutant(itself.port, itself.file, text, *difference(itself.text, text)) for text in texts
    ]


def difference(before: str, after: str) -> tuple[int, str, str]:
    """The number of the line that differs, and that line before and after, stripped.

    An added line counts as a change of the line before it.
    """
    a, b = before.splitlines(), after.splitlines()
    start = next(i for i in range(len(b)) if i >= len(a) or a[i] != b[i])
    added = len(b) - len(a)
    if added > 0 and a[start:] == b[start + added :]:
        start -= 1
    stripped = "\n".join(line.strip() for line in b[start : start + 1 + added])
    return start + 1, a[start].strip(), stripped


def make(mutant: Mutant) -> Port:
    """Write the mutant as a port folder, which replaces the last one."""
    folder = FOLDER / "ports" / mutant.port
    shutil.rmtree(folder, ignore_errors=True)
    unused = shutil.ignore_patterns("__pycache__", build.TESTS)
    shutil.copytree(PORTS / mutant.port, folder, ignore=unused)
    (folder / mutant.file).write_text(mutant.text, encoding="utf-8")
    return load(folder).alone()


def in_one_go(port: Port, flags: str) -> Port:
    """The C port for float64 only, compiled with these flags, which is faster."""
    sources = [*flags.split(), "-I{include}", "-DBITS=64", "backprop.c"]
    command = ["gcc", "-std=c11", "-fPIC", "-shared", *sources, "-lm"]
    built = Build(commands=[[*command, "-o", "{build}/libbackprop.so"]])
    update = {"dtypes": ["float64"], "build": built}
    return replace(port, manifest=port.manifest.model_copy(update=update))


def in_float32(port: Port) -> Port:
    """The same port, asked for float32 only."""
    return replace(port, manifest=port.manifest.model_copy(update={"dtypes": ["float32"]}))


def fingerprint(mutant: Mutant, port: Port) -> str | None:
    """Equal for mutants that compile to the same; None for one that does not compile."""
    if mutant.file.endswith(".py"):
        return python_fingerprint(mutant.text)
    if not build.build(Target(port), "").ok:
        return None
    folder = launch.build_folder(Target(port))
    objects = sorted(folder.glob("*.o")) or [folder / "libbackprop.so"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in objects)).hexdigest()


def python_fingerprint(text: str) -> str | None:
    """The bytecode, without docstrings and line numbers."""
    try:
        with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
            tree = ast.parse(text)
            tree.body = [s for s in tree.body if not isinstance(s, ast.Pass)]  # a decorator's place
            return _bytecode(compile(tree, "mutant", "exec", dont_inherit=True, optimize=2))
    except SyntaxError:
        return None


def _bytecode(code: CodeType) -> str:
    constants = [_bytecode(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    names = code.co_names, code.co_varnames, code.co_cellvars, code.co_freevars
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
    return repr((code.co_name, code.co_code, constants, names, counts, code.co_exceptiontable))

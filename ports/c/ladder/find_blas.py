"""Finds a BLAS with the C interface, and writes what gcc must be told to use it, if anything.

    python find_blas.py FILE

The file is for gcc's command line, as @FILE. The package scipy-openblas32 of this Python comes
first, then what the system has. A library counts if a program that multiplies two numbers with it
builds and runs. Where there is none, the file is empty, and general.c uses its own loops alone.
"""

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = """
#include <cblas.h>
int main(void) {
    double a = 2, b = 3, c = 0;
    const enum CBLAS_TRANSPOSE plain = CblasNoTrans;
    BLAS(cblas_dgemm)(CblasRowMajor, plain, plain, 1, 1, 1, 1, &a, 1, &b, 1, 0, &c, 1);
    return c == 6 ? 0 : 1;
}
"""


def candidates() -> list[list[str]]:
    """Flags of the possible libraries, the best first."""
    found = []
    try:
        import scipy_openblas32 as package
    except ImportError:
        pass
    else:
        lib, library = package.get_lib_dir(), package.get_library()
        flags = [f"-I{package.get_include_dir()}", "-DBLAS(name)=scipy_##name", "-DOPENBLAS"]
        found.append([*flags, f"-L{lib}", f"-Wl,-rpath,{lib}", f"-l{library}"])
    for name in ("openblas", "cblas", "blas"):
        try:
            command = ["pkg-config", "--cflags", "--libs", name]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            told = f"-l{name}"
        also = ["-DOPENBLAS"] if name == "openblas" else []
        found.append(["-DBLAS(name)=name", *also, *shlex.split(told)])
    return found


def works(flags: list[str]) -> bool:
    """Does a program build with these flags, and multiply?"""
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "try.c"), Path(folder, "try")
        source.write_text(PROGRAM, encoding="utf-8")
        try:
            command = ["gcc", str(source), "-o", str(program), *flags]
            subprocess.run(command, capture_output=True, check=True)
            return subprocess.run([str(program)], check=False).returncode == 0
        except (OSError, subprocess.CalledProcessError):
            return False


def main() -> None:
    """Write the file, and say what was found."""
    flags = next(filter(works, candidates()), [])
    Path(sys.argv[1]).write_text("\n".join(shlex.quote(flag) for flag in flags), encoding="utf-8")
    print(" ".join(flags) or "no BLAS found")


if __name__ == "__main__":
    main()

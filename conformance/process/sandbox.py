"""What a port's process gets: no network, small files, and little of the user's environment.

A port is somebody's program, and runs with the rights of whoever starts the harness. The
sandbox limits accidents, and hides secrets in the environment. It does not stop malice: a
port can still read everything that its user can. Builds are not confined, since some fetch
what they need.
"""

import functools
import re
import subprocess
from collections.abc import Mapping

MAX_FILE_BYTES = 2**30
MAX_OPEN_FILES = 1024

LIMITS = ["prlimit", "--core=0", f"--fsize={MAX_FILE_BYTES}", f"--nofile={MAX_OPEN_FILES}"]
# Root can make a network of its own; any other user must first be root in a name space.
NETWORKS = [["unshare", "--net"], ["unshare", "--user", "--map-current-user", "--net"]]

# Variables that programs and runtimes need; a port names more in its manifest (run.env).
KEPT = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|VIRTUAL_ENV|XDG_\w+_HOME"
    r"|(?:DY)?LD_LIBRARY_PATH|PYTHON\w*|JAVA_(?:HOME|TOOL_OPTIONS)|NODE_(?:PATH|OPTIONS)"
    r"|GO(?:MAXPROCS|GC|DEBUG|MEMLIMIT|TRACEBACK)|RUST_(?:BACKTRACE|MIN_STACK)|DOTNET_\w+"
    r"|(?:OMP|GOMP|KMP|OPENBLAS|MKL|BLIS|NUMBA|CUDA|JAX|XLA|TORCH|PYTORCH|PYTENSOR|BACKPROP)_\w+"
    r"|NVIDIA_VISIBLE_DEVICES|[ALTU]\w*SAN_OPTIONS"
)
SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|CREDENTIAL|API_?KEY")


def visible(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that a port sees."""
    return {
        name: value
        for name, value in variables.items()
        if KEPT.fullmatch(name) and not SECRET.search(name)
    }


def confined(command: list[str]) -> list[str]:
    """The command that starts this one without a network, and with limits, as far as possible."""
    return [*prefix(), *command]


@functools.cache
def prefix() -> list[str]:
    """What goes before a command: the strictest wrapper that works on this system."""
    candidates = [[*network, *LIMITS] for network in NETWORKS] + [LIMITS]
    return next((candidate for candidate in candidates if _works(candidate)), [])


def has_network() -> bool:
    """True if a port cannot be cut off from the network."""
    return "--net" not in prefix()


def _works(candidate: list[str]) -> bool:
    try:
        done = subprocess.run(
            [*candidate, "true"], stdin=subprocess.DEVNULL, capture_output=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0

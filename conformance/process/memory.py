"""Memory that a program has not written yet: filled, so that it is never zero by luck.

Fresh memory comes from the system as zeros, so a sum that nobody set to zero is right by luck. The
allocator of glibc can fill what it hands out: a program that reads it then gets numbers that show.
Stacks, static variables, and programs with an allocator of their own are not reached.
"""

import ctypes
import struct
from collections.abc import Mapping

# For the first asking and for the second. glibc fills what it hands out with the complement of the
# byte, and what is given back with the byte itself.
#        handed out, as float64 and float32    given back
# 0x80        1.4e306    3.4e38                  -2.9e-306
# 0x40         -0.124    -1.5                         32.5
# Neither is NaN: a maximum or a comparison can swallow that.
FILLS = (0x80, 0x40)
M_PERTURB = -6  # of mallopt, in malloc.h


def filled(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that gets its memory filled, at first with FILLS[0]."""
    # Small blocks that are given back would be handed out again as they are: no cache of those.
    tunables = [env.get("GLIBC_TUNABLES"), "glibc.malloc.tcache_count=0"]
    found = {"MALLOC_PERTURB_": str(FILLS[0]), "GLIBC_TUNABLES": ":".join(filter(None, tunables))}
    return {**env, **found}


def is_unwritten(number: float, dtype: str) -> bool:
    """True of the number that memory holds at the first asking, until somebody writes there."""
    kind, size = {"float64": ("d", 8), "float32": ("f", 4)}[dtype]
    [unwritten] = struct.unpack(kind, bytes([FILLS[0] ^ 0xFF] * size))
    return bool(number == unwritten)


def fill_with(byte: int) -> None:
    """From now on, this process gets its memory filled with another byte; only glibc does so."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_PERTURB, byte)

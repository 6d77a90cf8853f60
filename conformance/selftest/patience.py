"""How long tests wait for what should come soon."""

# So many times slower than usual a machine may be, or as busy with something else.
SLOWER = 4


def patience(seconds: float) -> float:
    """How long to wait for what takes at most `seconds` on a usual machine that has other work."""
    return SLOWER * seconds

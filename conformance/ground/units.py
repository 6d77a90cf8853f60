"""Numbers as people read them: 37.8 ns, 1.2 µs, 3 min 12 s."""

UNITS = (("s", 1e9), ("ms", 1e6), ("µs", 1e3), ("ns", 1.0))


def unit(ns: float) -> tuple[str, float]:
    """The largest unit of which there is one at least, and its nanoseconds."""
    return next(((name, size) for name, size in UNITS if abs(ns) >= size), UNITS[-1])


def scaled(ns: float) -> str:
    """A time given in nanoseconds, in its unit."""
    name, size = unit(ns)
    return f"{digits(ns / size)} {name}"


def digits(value: float) -> str:
    """Three digits; or two of what is small; or all before the point."""
    return (
        f"{value:,.0f}"
        if abs(value) >= 100
        else f"{value:#.3g}"
        if abs(value) >= 0.1
        else f"{value:.2g}"
    )


def duration(seconds: float) -> str:
    """How long a run took, given in seconds: 0.8 s, 12 s, 3 min 12 s, 1 h 4 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {left} s" if minutes else f"{left} s"


def count(number: int, noun: str) -> str:
    """As in "1 case" and "77 cases"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def ulps(number: float) -> str:
    """Units in the last place, as in "1 ulp" and "2.5 ulps"."""
    return f"{number:.3g} " + ("ulp" if number == 1 else "ulps")

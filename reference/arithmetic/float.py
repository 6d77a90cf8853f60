"""Plain NumPy."""

from reference.array import Array


class Float:
    """Floating-point arithmetic of NumPy's own."""

    def convert(self, values: Array) -> Array:
        """A state that a run may change."""
        return values.copy()

    def shared(self, values: Array) -> Array:
        """Data that are only read."""
        return values


FLOAT = Float()

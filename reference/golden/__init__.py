"""Golden traces: derived, certified, recorded."""

"""Right or wrong, and why: judge one target on one case, and explain a failure."""

"""One conformance run: what the user selected, its results, resuming after an interruption."""

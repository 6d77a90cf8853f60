"""One conformance run: what the user selected, what it comes to, going on after an interruption."""

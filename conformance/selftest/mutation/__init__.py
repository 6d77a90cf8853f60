"""Changes each line of two ports, and asks whether the suite sees it."""

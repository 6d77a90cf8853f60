"""Changes each line of two ports, and measures whether the suite notices."""

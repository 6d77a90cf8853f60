"""Long tests that run when their inputs change, and a committed stamp for each that passed."""

"""The only stopwatch: how fast targets are that passed, and how far the limit is."""

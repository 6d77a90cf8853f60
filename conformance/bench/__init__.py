"""The only stopwatch: how fast the targets are that passed, and how close to the limit."""

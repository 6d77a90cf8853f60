"""Starts programs, confines them, talks to them over pipes, and ends them with all they started."""

"""Starts programs, confines them, talks to them over pipes, and ends them and their children."""

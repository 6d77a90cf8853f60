"""`make bench`, and the stopwatch of `check`: runs of several lengths, in turns, and how fast it could be."""

Reading order: workloads (what is computed, and what is expected), run (who is judged, then timed),
statistics (from seconds to a slope and its interval), limits (how fast it could be), files (what is
written), show (the tables and the plot).
"""

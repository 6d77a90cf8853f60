"""`make bench`: times all implementations on three workloads, and says how far the limit is.

Reading order: workloads (what is computed, and what is expected), run (who is judged, then timed),
statistics (from seconds to a slope and its interval), limits (how fast it could be), files (what is
written), show (the tables and the plot).
"""

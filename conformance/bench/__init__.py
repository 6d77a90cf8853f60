"""The only stopwatch: how fast targets are that passed, and how far the limit is.

Reading order: race (turns, the clock, and checking again what was timed), statistics (from seconds
to a slope and its interval), short_race (for `check`). For `make bench`: workloads (what is
computed, and what is expected), tournament (a race for each), admission (who takes part), limits
(how fast it could be), summary and files (what is written), show (the tables), plot and curves.
"""

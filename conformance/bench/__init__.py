"""The only stopwatch: times what is right on three workloads, and says how far the limit is."""

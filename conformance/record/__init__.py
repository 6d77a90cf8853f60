"""Results: their files, their tables in the terminal, several machines merged."""

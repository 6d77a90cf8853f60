"""Case files: their tables, their checks, and the arrays that they describe."""

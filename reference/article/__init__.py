"""The article's own programs, and the lesson."""

"""`make report`: results as one page for a person, and as a summary and badges for CI."""

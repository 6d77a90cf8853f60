"""Questions to ports and their answers: JSON lines, and the worker that speaks them."""

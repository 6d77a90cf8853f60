"""Backpropagation in NumPy, and nothing but NumPy."""

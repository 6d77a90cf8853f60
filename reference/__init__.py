"""The algorithm in NumPy, the article's own programs, and the golden generator.

Where to start reading: `network.py` is the algorithm. `ball.py` and
`randomised.py` are two number systems that the same source runs on, and
`golden.py` turns their results into golden traces.
"""

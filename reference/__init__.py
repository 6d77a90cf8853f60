"""The algorithm in NumPy, the article's own programs, and the golden generator.

Where to start reading: `algorithm/network.py`. It is one source for every number type in
`arithmetic/`, and `golden/derive.py` turns what it computes in them into golden traces.
"""

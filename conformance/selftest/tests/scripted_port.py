"""A correct process port in plain Python lists, with a place where tests break it.

It imports nothing of the project: the protocol is all that it knows.
"""

import json
import math
import sys


def product(a, b):
    return [[sum(x * y for x, y in zip(row, column)) for column in zip(*b)] for row in a]


def transposed(a):
    return [list(column) for column in zip(*a)]


def combined(f, a, b):
    return [[f(x, y) for x, y in zip(p, q)] for p, q in zip(a, b)]


def step(X, y, syn, alpha):
    l = [X]
    for w in syn:
        l.append([[1 / (1 + math.exp(-x)) for x in row] for row in product(l[-1], w)])
    last = len(syn)
    error = {last: combined(lambda t, o: t - o, y, l[last])}
    delta = {}
    for k in range(last, 0, -1):
        if k < last:
            error[k] = product(delta[k + 1], transposed(syn[k]))
        delta[k] = combined(lambda e, o: e * (o * (1 - o)), error[k], l[k])
    new = [
        combined(lambda w, g: w + alpha * g, syn[k], product(transposed(l[k]), delta[k + 1]))
        for k in range(last)
    ]
    layers = range(1, last + 1)
    return l[1:], [error[k] for k in layers], [delta[k] for k in layers], new


def reply(request):
    if request["op"] == "hello":
        return {"format": 1, "device": "cpu"}
    X, y, syn, alpha = (request[key] for key in ("X", "y", "weights", "alpha"))
    if request["op"] == "step":
        return dict(zip(("l", "error", "delta", "weights"), step(X, y, syn, alpha)))
    entries = []
    for n in range(request["checkpoints"][-1] + 1):
        _, error, _, new = step(X, y, syn, alpha)
        if n in request["checkpoints"]:
            numbers = [abs(e) for row in error[-1] for e in row]
            mean = sum(numbers) / len(numbers)
            entries.append({"iteration": n, "error": mean, "weights": syn})
        syn = new
    return {"checkpoints": entries}


for line in sys.stdin:
    request = json.loads(line)
    answer = {"id": request["id"], **reply(request)}
    op = request["op"]
    # SABOTAGE
    print(json.dumps(answer), flush=True)

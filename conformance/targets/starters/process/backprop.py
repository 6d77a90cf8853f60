"""A port to begin with: it runs, and its answers are zeros.

Replace this file with one in your language that reads and answers the same lines, and change
port.toml to start it. PORTING.md, section 2, shows the lines; SPEC.md, section 2, has the formulas.
"""

import json
import sys


def zeros(rows, columns):
    return [[0.0] * columns for _ in range(rows)]


def reply(request):
    if request["op"] == "hello":
        return {"format": 1, "device": "cpu"}
    layers, samples = request["layers"], len(request["X"])
    weights = request["weights"]  # as they came
    if request["op"] == "step":
        l = [zeros(samples, units) for units in layers[1:]]
        return {"l": l, "error": l, "delta": l, "weights": weights}
    checkpoints = [
        {"iteration": n, "error": 0.0, "weights": weights} for n in request["checkpoints"]
    ]
    return {"checkpoints": checkpoints}


for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps({"id": request["id"], **reply(request)}), flush=True)

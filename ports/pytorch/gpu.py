"""The same port on a GPU, in the three ways that PyTorch has to run it there.

`BACKPROP_TORCH` says which; network.py is the same for all of them:

    eager     each operation is launched by itself, and so is each of autograd's: about 100 launches
              for an iteration of a small network, of some microseconds each
    compile   torch.compile fuses operations into few kernels; the host still launches these
    graph     an update's launches are recorded once, as a CUDA graph, and then replayed by one
              call of the host an iteration

A launch returns at once, and kernels run in their order; copying a result to the host waits.
`BACKPROP_TORCH_DEVICE = "cpu"` runs eager and compile without a GPU, as the tests do.
"""

import os

import backprop
import torch
from backprop import Settings
from network import infer, mean_error, update
from state import State

HOW = os.environ["BACKPROP_TORCH"]
DEVICE = os.environ.get("BACKPROP_TORCH_DEVICE", "cuda")
torch.set_default_device(DEVICE)  # where every tensor of the port is then made

if HOW == "compile":
    update = torch.compile(update)


def train(X, y, state, checkpoints, **settings):
    check(settings)
    settings = Settings(**settings)
    X, y, state = torch.tensor(X), torch.tensor(y), State(state, settings)
    advance = repeated(X, y, state, settings) if HOW == "graph" else None
    iteration = 0
    for n in checkpoints:
        while iteration < n:
            if advance:
                advance()
            else:
                update(X, y, state, settings, 0)
            iteration += 1
        yield n, mean_error(y - infer(X, state, settings)), state.arrays()


def repeated(X, y, state, settings):
    """One update as a CUDA graph: it works in place, so that each replay goes on from the last."""
    before = [matrix.detach().clone() for matrix in state.matrices]
    # What an operation allocates when it runs for the first time must not be recorded.
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            update(X, y, state, settings, 0)
    torch.cuda.current_stream().wait_stream(side)
    with torch.no_grad():  # those updates do not count
        for matrix, value in zip(state.matrices, before, strict=True):
            matrix.copy_(value)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        update(X, y, state, settings, 0)
    return graph.replay


def step(X, y, state, **settings):
    check(settings)
    return backprop.step(X, y, state, **settings)


def check(settings):
    """A recorded update is always the same one, so that the number of an update may not matter."""
    for name in ("batch_size", "dropout", "adam"):
        if settings.get(name):
            raise NotImplementedError(f"this rung is for updates that are all alike: no {name}")


def device():
    return torch.cuda.get_device_name() if DEVICE == "cuda" else f"{DEVICE}, by {HOW}"

"""The host's side that the rungs share: what they decline, copies, checkpoints, time, failures.

There are three ways to drive a GPU here, and a rung takes one of them:

    whole_runs   a launch is a whole run, with all its checkpoints: rungs 1 to 3
    loops        a launch is an operation, and the loop is on the host: rungs 4 and 6
    ensembles    a launch takes many networks from a checkpoint to the next: rung 5

Each returns `train` and `step`, the functions of conformance/contract/PORTING.md.
"""

import functools
import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
from device import SIMULATED, cuda

TO_DEVICE, COMPUTING, TO_HOST = range(3)
# Samples times weights: beyond it, the simulator takes a second an iteration, or more.
SIMULATOR_WORK = 5_000
KNOWN_BITS = {np.dtype(np.float64), np.dtype(np.float32)}


class Clock:
    """Where a call spends its time, by events that the device records between its other work.

    The very first call includes the compiler's seconds: the device waits for the kernel.
    """

    last = None  # the clock of the last call

    def __init__(self, stream):
        self.stream, self.events = stream, []
        Clock.last = self

    def enter(self, phase):
        """From here on, the device does this."""
        if not SIMULATED:
            event = cuda.event()
            event.record(self.stream)
            self.events.append((phase, event))

    def seconds(self):
        spent = [0.0, 0.0, 0.0]
        for (phase, start), (_, end) in pairwise(self.events):
            end.synchronize()
            spent[phase] += cuda.event_elapsed_time(start, end) / 1000  # it is in milliseconds
        return spent


def device_seconds():
    """Seconds of the last call on copies to the device, computing, and copies back."""
    return None if SIMULATED or Clock.last is None else Clock.last.seconds()


def device():
    if SIMULATED:
        return "the ladder's simulator"
    gpu = cuda.get_current_device()
    major, minor = gpu.compute_capability
    return f"{gpu.name} (compute capability {major}.{minor})"


def in_a_sentence(function):
    """What CUDA says, in one line: its own messages are pages long, or a bare code."""

    @functools.wraps(function)
    def guarded(*arguments, **settings):
        try:
            return function(*arguments, **settings)
        except (NotImplementedError, MemoryError):
            raise
        except Exception as error:
            if not type(error).__module__.startswith(("numba.cuda", "cuda.", "nvmath")):
                raise
            said = " ".join(str(error).split())[:200] or type(error).__name__
            if "OUT_OF_MEMORY" in said:
                raise MemoryError(f"The GPU has no room for this network: {said}.") from error
            raise RuntimeError(f"CUDA says: {said}") from error

    return guarded


def demand(X, state, settings, *, small=False, ensemble=False):
    """Decline, in a sentence, what is not for the rung."""
    if settings:
        raise NotImplementedError(f"This rung has no {', '.join(sorted(settings))}.")
    if len(state) != 2:
        raise NotImplementedError(f"This rung is for three layers, and here are {len(state) + 1}.")
    if state[0].ndim == 3 and not ensemble:
        raise NotImplementedError("This rung is for one network.")
    shapes = [X.shape, *(syn.shape[-2:] for syn in state)]
    if small and shapes != [(4, 3), (3, 4), (4, 1)]:
        raise NotImplementedError("This rung is for the 3-4-1 network with 4 samples.")
    if X.dtype not in KNOWN_BITS:
        raise NotImplementedError(f"This rung computes in float64 and float32, not in {X.dtype}.")


def not_too_large(X, state):
    """Decline what would take minutes in the simulator: many launches, or many barriers."""
    if SIMULATED and len(X) * sum(syn.size for syn in state) > SIMULATOR_WORK:
        raise NotImplementedError("The simulator is too slow for such a network; a GPU is not.")


def kept_of(layer1, layer2):
    """l, error and delta for `step`, from the arrays (3, samples, units) of both layers."""
    return [[layer1[k], layer2[k]] for k in range(3)]


def whole_runs(kernel, threads_and_room, *, small=False):
    """train and step of a rung whose kernel makes a whole run.

    threads_and_room(samples, layers, dtype) says how many threads the one block has, and how many
    bytes of shared memory.
    """

    def run(X, y, state, checkpoints, alpha, settings, keep):
        demand(X, state, settings, small=small)
        (inputs, hidden), outputs = state[0].shape, state[1].shape[1]
        threads, room = threads_and_room(len(X), (inputs, hidden, outputs), X.dtype)
        real, stream, count = X.dtype, cuda.stream(), len(checkpoints)
        clock = Clock(stream)

        clock.enter(TO_DEVICE)
        given = [cuda.to_device(a, stream=stream) for a in (X, y, *state)]
        due = cuda.to_device(np.array(checkpoints, np.int64), stream=stream)
        shapes = [(count, *state[0].shape), (count, *state[1].shape), (count,)]
        shapes += [(3, len(X), hidden), (3, len(X), outputs)]
        *results, layer1, layer2 = (cuda.device_array(s, real, stream=stream) for s in shapes)

        clock.enter(COMPUTING)
        kernel[1, threads, stream, room](
            *given, real.type(alpha), due, *results, keep, layer1, layer2
        )
        clock.enter(TO_HOST)
        wanted = [*results, layer1, layer2] if keep else results
        wanted = [array.copy_to_host(stream=stream) for array in wanted]
        clock.enter(TO_HOST)
        stream.synchronize()
        return wanted

    @in_a_sentence
    def train(X, y, state, checkpoints, *, alpha, **settings):
        syn0, syn1, errors = run(X, y, state, checkpoints, alpha, settings, False)
        rows = zip(checkpoints, errors, syn0, syn1, strict=True)
        return [(n, error, [a, b]) for n, error, a, b in rows]

    @in_a_sentence
    def step(X, y, state, *, alpha, **settings):
        syn0, syn1, _, *layers = run(X, y, state, [1], alpha, settings, True)
        return *kept_of(*layers), [syn0[0], syn1[0]]

    return train, step


def on_device(X, y, state, alpha, stream):
    """All arrays of a network, for a loop on the host: each lies on the device by its name."""
    samples, hidden, outputs = len(X), *state[1].shape
    net = SimpleNamespace(stream=stream, alpha=X.dtype.type(alpha))
    for name, array in zip(("X", "y", "syn0", "syn1"), (X, y, *state), strict=True):
        setattr(net, name, cuda.to_device(array, stream=stream))
    for k, units in ((1, hidden), (2, outputs)):
        for name in (f"l{k}", f"l{k}_error", f"l{k}_delta"):
            setattr(net, name, cuda.device_array((samples, units), X.dtype, stream=stream))
    net.mean_error = cuda.device_array(1, X.dtype, stream=stream)
    return net


def loops(updates, measure, check=lambda X, state: None):
    """train and step of a rung that launches one operation after the other.

    updates(net, count) makes so many updates, and measure(net) writes the error of the weights
    to net.mean_error. check(X, state) may decline.
    """

    def prepare(X, y, state, alpha, settings):
        demand(X, state, settings)
        check(X, state)
        stream = cuda.stream()
        clock = Clock(stream)
        clock.enter(TO_DEVICE)
        return on_device(X, y, state, alpha, stream), clock

    def fetch(net, clock, names):
        # A copy waits for all that was launched before: the host and the device meet here only.
        clock.enter(TO_HOST)
        found = [getattr(net, name).copy_to_host(stream=net.stream) for name in names]
        clock.enter(COMPUTING)
        net.stream.synchronize()
        return found

    @in_a_sentence
    def train(X, y, state, checkpoints, *, alpha, **settings):
        net, clock = prepare(X, y, state, alpha, settings)
        clock.enter(COMPUTING)
        rows, done = [], 0
        for n in checkpoints:
            updates(net, n - done)
            measure(net)
            done = n
            syn0, syn1, error = fetch(net, clock, ("syn0", "syn1", "mean_error"))
            rows.append((n, error[0], [syn0, syn1]))
        return rows

    @in_a_sentence
    def step(X, y, state, *, alpha, **settings):
        net, clock = prepare(X, y, state, alpha, settings)
        clock.enter(COMPUTING)
        updates(net, 1)
        kept = [fetch(net, clock, (f"l1{kind}", f"l2{kind}")) for kind in ("", "_error", "_delta")]
        return *kept, fetch(net, clock, ("syn0", "syn1"))

    return train, step


def ensembles(kernel, threads_per_network, block, *, transposed):
    """train and step of a rung for many 3-4-1 networks with 4 samples; a block has `block` threads.

    The host has syn0 as (networks, 3, 4) and syn1 as (networks, 4, 1). Transposed, the device gets
    (12, networks) and (4, networks); the host transposes, which is one pass over the weights at the
    start and at each checkpoint.
    """

    def arranged(syn):
        return np.ascontiguousarray(syn.reshape(len(syn), -1).T) if transposed else syn

    def as_given(array, shape):
        return np.ascontiguousarray(array.T).reshape(shape) if transposed else array

    def run(X, y, state, checkpoints, alpha, settings, keep):
        demand(X, state, settings, small=True, ensemble=True)
        networks = len(state[0])
        blocks = math.ceil(networks * threads_per_network / block)
        stream = cuda.stream()
        clock = Clock(stream)

        clock.enter(TO_DEVICE)
        given = [cuda.to_device(a, stream=stream) for a in (X, y)]
        weights = [cuda.to_device(arranged(syn), stream=stream) for syn in state]
        shapes = (networks, (3, 4, 4), (3, 4, 1))
        errors, *layers = (cuda.device_array(s, X.dtype, stream=stream) for s in shapes)

        clock.enter(COMPUTING)
        rows, done = [], 0
        for n in checkpoints:
            kernel[blocks, block, stream](
                *given, *weights, X.dtype.type(alpha), n - done, errors, keep, *layers
            )
            done = n
            clock.enter(TO_HOST)
            found = [array.copy_to_host(stream=stream) for array in (errors, *weights)]
            clock.enter(COMPUTING)
            stream.synchronize()
            syn = [as_given(a, s.shape) for a, s in zip(found[1:], state, strict=True)]
            rows.append((n, found[0], syn))
        kept = [layer.copy_to_host(stream=stream) for layer in layers] if keep else []
        stream.synchronize()
        return rows, kept

    @in_a_sentence
    def train(X, y, state, checkpoints, *, alpha, **settings):
        if len(state) == 2 and state[0].ndim == 3:
            return run(X, y, state, checkpoints, alpha, settings, False)[0]
        alone = [syn[np.newaxis] for syn in state]
        rows, _ = run(X, y, alone, checkpoints, alpha, settings, False)
        return [(n, error[0], [syn[0] for syn in state]) for n, error, state in rows]

    @in_a_sentence
    def step(X, y, state, *, alpha, **settings):
        alone = [syn[np.newaxis] for syn in state]
        [(_, _, after)], layers = run(X, y, alone, [1], alpha, settings, True)
        return *kept_of(*layers), [syn[0] for syn in after]

    return train, step

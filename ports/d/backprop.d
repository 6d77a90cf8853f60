/// Backpropagation in D, behind the contract of conformance/contract/backprop.h.
///
/// This file has the exported functions. algorithm.d has the algorithm, layers.d what a layer does
/// besides the matrix product, optimise.d what is done with a descent, network.d the arrays,
/// settings.d the settings, random.d the generators.
module backprop;

import algorithm;
import settings : Counts, Settings, Status;

/// The functions for one type of numbers. From C come pointers without a length, which follows
/// from the settings. Data that is const there is not const by type here, but nothing writes
/// to it.
mixin template Export(T, string suffix)
{
    extern (C) @nogc nothrow:

    pragma(mangle, "backprop_train_" ~ suffix)
    export Status train(ref const Settings s, T* X, T* y, T* state, long checkpointCount,
                        const(long)* checkpoints, T* stateOut, T* errorOut)
    {
        if (!s.validRun(checkpointCount, checkpoints)) return Status.failed;
        const n = Counts(s);
        // Each network of an ensemble is trained as if it were alone.
        foreach (i; 0 .. s.networks > 1 ? s.networks : 1)
        {
            const from = i * checkpointCount;
            const status = algorithm.train(
                s, X[0 .. s.samples * n.inputs], y[0 .. s.samples * n.outputs],
                state[i * n.state .. (i + 1) * n.state], checkpoints[0 .. checkpointCount],
                stateOut[from * n.state .. (from + checkpointCount) * n.state],
                errorOut[from .. from + checkpointCount]);
            if (status != Status.ok) return status;
        }
        return Status.ok;
    }

    pragma(mangle, "backprop_step_" ~ suffix)
    export Status step(ref const Settings s, T* X, T* y, T* state, T* l, T* error, T* delta,
                       T* stateOut)
    {
        if (!s.valid(1)) return Status.failed;
        const n = Counts(s);
        const numbers = s.samples * n.units;
        return algorithm.step(s, X[0 .. s.samples * n.inputs], y[0 .. s.samples * n.outputs],
                              state[0 .. n.state], l[0 .. numbers], error[0 .. numbers],
                              delta[0 .. numbers], stateOut[0 .. n.state]);
    }

    pragma(mangle, "backprop_predict_" ~ suffix)
    export Status predict(ref const Settings s, T* X, T* state, T* output)
    {
        if (!s.valid(1)) return Status.failed;
        const n = Counts(s);
        return algorithm.predict(s, X[0 .. s.samples * n.inputs], state[0 .. n.state],
                                 output[0 .. s.samples * n.outputs]);
    }

    pragma(mangle, "backprop_initial_" ~ suffix)
    export Status initial(ref const Settings s, long numpySeed, T* stateOut)
    {
        if (!s.valid(0)) return Status.failed;
        return algorithm.initial(s, numpySeed, stateOut[0 .. Counts(s).state]);
    }
}

mixin Export!(double, "f64");
mixin Export!(float, "f32");

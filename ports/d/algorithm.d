/// The algorithm: forward, backward, update, and what uses them.
module algorithm;

import core.math : fabs;
import layers;
import network : Matrix, Network, Owned;
import optimise : improve;
import random : Mt19937;
import settings : Counts, Loss, Settings, Status;

@nogc nothrow:

/// Instead of the number of an update.
enum long inference = -1;

// [forward]
/// x = [l, 1] syn, the 1 only with bias units: row i of x is a sum of rows of syn.
void times(T)(Matrix!T l, Matrix!T syn, T[] bias, Matrix!T x)
{
    foreach (i; 0 .. x.rows)
    {
        auto sum = x[i];
        if (bias.length) sum[] = bias[];
        else sum[] = 0;
        foreach (m, input; l[i]) sum[] += input * syn[m][];
    }
}
// [/forward]

// [hidden-delta]
/// error = delta syn^T. The bias unit's weights are not in syn: no error goes there.
void timesTransposed(T)(Matrix!T delta, Matrix!T syn, Matrix!T error)
{
    foreach (i; 0 .. error.rows)
        foreach (m, ref sum; error[i])
        {
            sum = 0;
            foreach (n, d; delta[i]) sum += d * syn[m][n];
        }
}
// [/hidden-delta]

// [update]
/// The descents, [l, 1]^T delta: each sample adds to that of each weight.
void descend(T)(Matrix!T l, Matrix!T delta, Matrix!T synDescent, T[] biasDescent)
{
    synDescent[] = 0;
    biasDescent[] = 0;
    foreach (i; 0 .. l.rows)
    {
        foreach (m, input; l[i]) synDescent[m][] += input * delta[i][];
        if (biasDescent.length) biasDescent[] += delta[i][];
    }
}
// [/update]

// [forward]
void forward(T)(ref Network!T net, long iteration)
{
    foreach (k; 0 .. net.n.last)
    {
        const hidden = k + 1 < net.n.last;
        auto next = &net.layers[k + 1];
        with (net.layers[k]) times(l, syn, bias, next.l);
        if (hidden && net.s.batchNorm && iteration == inference)
            normaliseForInference(net.s, *next, next.l);
        else if (hidden && net.s.batchNorm)
            normalise(net.s, *next, next.l);
        activate(hidden ? net.s.activation : net.s.output, next.l);
        if (hidden && net.s.dropout > 0 && iteration != inference)
            dropOut(net.s, k + 1, iteration, *next);
    }
}
// [/forward]

/// error[K] = y - l[K], error[k] = delta[k+1] syn[k]^T, delta[k] = error[k] slope(l[k]), and then
/// back through everything else between weighted inputs and output.
void backward(T)(ref Network!T net)
{
    // [hidden-delta]
    foreach_reverse (k; 1 .. net.n.last + 1) with (net.layers[k])
    {
        const hidden = k < net.n.last;
        // [output-delta]
        if (hidden)
            timesTransposed(net.layers[k + 1].delta, syn, error);
        else
            error[] = net.y[] - l[];

        if (!hidden && net.s.loss == Loss.crossEntropy)
            delta[] = error[]; // the loss's slope and the activation's cancel each other
        else if (hidden && net.s.dropout > 0)
        {
            applySlope(net.s.activation, error, active, delta);
            delta[] *= factor[];
        }
        else
            applySlope(hidden ? net.s.activation : net.s.output, error, l, delta);
        // [/output-delta]
        if (hidden && net.s.batchNorm) normaliseBack(net.layers[k], delta);
        if (net.s.trimValue > 0) trim(delta[], cast(T) net.s.trimValue);
    }
    // [/hidden-delta]
}

private void trim(T)(T[] delta, T most)
{
    foreach (ref d; delta) d = d > most ? most : d < -most ? -most : d;
}

// [update]
/// syn[k] += alpha [l[k], 1]^T delta[k+1], or the step made from that descent.
void update(T)(ref Network!T net, long iteration)
{
    foreach (k; 0 .. net.n.last) with (net.layers[k])
        descend(l, net.layers[k + 1].delta, synDescent, biasDescent);
    improve(net, iteration);
}
// [/update]

/// One update. No weight changes before backward has used all the old ones.
void iterate(T)(ref Network!T net, long iteration)
{
    net.useBatch(iteration);
    forward(net, iteration);
    backward(net);
    update(net, iteration);
}

/// l[K] of all samples.
Matrix!T infer(T)(ref Network!T net)
{
    net.useAll();
    forward(net, inference);
    return net.layers[net.n.last].l;
}

/// The state and the error at each checkpoint.
Status train(T)(ref const Settings s, T[] X, T[] y, T[] state, const(long)[] checkpoints,
                T[] stateOut, T[] errorOut)
{
    const n = Counts(s);
    const numbers = s.samples * n.units;
    Owned!T now, l, error, delta;
    Network!T net;
    if (!now.allocate(n.state) || !l.allocate(numbers) || !error.allocate(numbers)
        || !delta.allocate(numbers) || !net.open(s, X, y, now, l, error, delta))
        return Status.noMemory;
    now[] = state[];
    // [checkpoint]
    long iteration = 0;
    foreach (c, checkpoint; checkpoints)
    {
        for (; iteration < checkpoint; iteration++) iterate(net, iteration);
        T sum = 0;
        foreach (i, output; infer(net)[]) sum += fabs(y[i] - output);
        errorOut[c] = sum / y.length;
        stateOut[c * n.state .. (c + 1) * n.state] = now[];
    }
    // [/checkpoint]
    return Status.ok;
}

/// One update, with every intermediate straight into the caller's buffers.
Status step(T)(ref const Settings s, T[] X, T[] y, T[] state, T[] l, T[] error, T[] delta,
               T[] stateOut)
{
    Network!T net;
    if (!net.open(s, X, y, stateOut, l, error, delta)) return Status.noMemory;
    stateOut[] = state[];
    iterate(net, s.iteration);
    return Status.ok;
}

/// Nothing goes back: there is no y, and no errors and deltas are needed. The state does
/// not change.
Status predict(T)(ref const Settings s, T[] X, T[] state, T[] output)
{
    Owned!T l;
    Network!T net;
    if (!l.allocate(s.samples * Counts(s).units) || !net.open(s, X, null, state, l, l, l))
        return Status.noMemory;
    output[] = infer(net)[];
    return Status.ok;
}

/// The state that a run starts from, with weights drawn from a seed; those from bias units are 0.
Status initial(T)(ref const Settings s, long numpySeed, T[] state)
{
    const n = Counts(s);
    auto generator = Mt19937(cast(uint) numpySeed);
    state[] = 0;
    size_t at = 0;
    foreach (k; 0 .. n.last)
    {
        const weights = s.layers[k] * s.layers[k + 1];
        foreach (ref w; state[at .. at + weights]) w = 2 * generator.number() - 1;
        at += weights + s.bias * s.layers[k + 1];
    }
    state[n.weights .. n.weights + n.normal] = 1; // gamma
    state[$ - n.normal .. $] = 1;                 // the running variances
    return Status.ok;
}

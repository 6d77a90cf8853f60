/// What a layer does besides the matrix product, each operation beside its derivative.
module layers;

import core.math : sqrt;
import core.stdc.tgmath : exp, tanh;
import network : Layer, Matrix;
import random : Purpose, Stream;
import settings : Activation, Settings;

@nogc nothrow:

/// Turns weighted inputs into outputs. exp and tanh are C's, one for each type of numbers.
void activate(T)(Activation activation, Matrix!T outputs)
{
    final switch (activation)
    {
    case Activation.sigmoid:
        // [forward]
        foreach (ref x; outputs.numbers) x = 1 / (1 + exp(-x));
        // [/forward]
        break;
    case Activation.tanh:
        foreach (ref x; outputs.numbers) x = tanh(x);
        break;
    case Activation.relu:
        foreach (ref x; outputs.numbers) x = x > 0 ? x : 0;
        break;
    case Activation.softmax:
        foreach (i; 0 .. outputs.rows) softmax(outputs[i]);
        break;
    }
}

/// Without a row's maximum, no exp can overflow.
private void softmax(T)(T[] row)
{
    T largest = row[0], sum = 0;
    foreach (x; row) largest = x > largest ? x : largest;
    foreach (ref x; row)
    {
        x = exp(x - largest);
        sum += x;
    }
    row[] /= sum;
}

/// delta = error times the activation's derivative, from its output l.
void applySlope(T)(Activation activation, Matrix!T error, Matrix!T l, Matrix!T delta)
{
    final switch (activation)
    {
    case Activation.sigmoid:
        // [output-delta]
        // [hidden-delta]
        delta[] = error[] * l[] * (1 - l[]);
        // [/hidden-delta]
        // [/output-delta]
        break;
    case Activation.tanh:
        delta[] = error[] * (1 - l[] * l[]);
        break;
    case Activation.relu:
        foreach (i, x; l[]) delta[][i] = x > 0 ? error[][i] : 0;
        break;
    case Activation.softmax:
        assert(0); // only with a loss that cancels its slope
    }
}

/// x, the weighted inputs of a layer, get mean beta and deviation gamma; the running
/// averages take in one more batch. z and deviation are kept for backward.
void normalise(T)(ref const Settings s, ref Layer!T layer, Matrix!T x)
{
    const T epsilon = s.normEpsilon, rate = s.normRate, rows = x.rows;
    auto mu = layer.mu, v = layer.deviation, z = layer.z;
    mu[] = 0;
    foreach (i; 0 .. x.rows) mu[] += x[i][];
    mu[] /= rows;
    v[] = 0;
    foreach (i; 0 .. x.rows)
    {
        x[i][] -= mu[];
        v[] += x[i][] * x[i][];
    }
    v[] /= rows;
    layer.mean[] += rate * (mu[] - layer.mean[]);
    layer.variance[] += rate * (v[] - layer.variance[]);
    foreach (ref deviation; v) deviation = sqrt(deviation + epsilon);
    foreach (i; 0 .. x.rows)
    {
        z[i][] = x[i][] / v[];
        x[i][] = layer.gamma[] * z[i][] + layer.beta[];
    }
}

/// The same with running averages instead of the batch's own.
void normaliseForInference(T)(ref const Settings s, ref Layer!T layer, Matrix!T x)
{
    const T epsilon = s.normEpsilon;
    foreach (n, ref deviation; layer.deviation) deviation = sqrt(layer.variance[n] + epsilon);
    foreach (i; 0 .. x.rows)
        x[i][] = layer.gamma[] * ((x[i][] - layer.mean[]) / layer.deviation[]) + layer.beta[];
}

/// Back through normalise: delta, the error of its output, becomes that of x. Mean and
/// deviation depend on every row, and so each row's error depends on all rows.
void normaliseBack(T)(ref Layer!T layer, Matrix!T delta)
{
    const T rows = delta.rows;
    auto z = layer.z;
    layer.gammaDescent[] = 0;
    layer.betaDescent[] = 0;
    foreach (i; 0 .. delta.rows)
    {
        layer.gammaDescent[] += delta[i][] * z[i][];
        layer.betaDescent[] += delta[i][];
    }
    foreach (i; 0 .. delta.rows)
    {
        delta[i][] -= layer.betaDescent[] / rows + z[i][] * layer.gammaDescent[] / rows;
        delta[i][] *= layer.gamma[] / layer.deviation[];
    }
}

/// Leaves units of layer k out at random, and scales the others to make up for them. The
/// activation's output is kept, since the slope is taken from it.
void dropOut(T)(ref const Settings s, size_t k, long iteration, ref Layer!T layer)
{
    const T dropout = s.dropout, scale = 1 / (1 - dropout);
    const least = s.dropout * 4_294_967_296.0; // 2^32
    auto stream = Stream(s.philoxSeed, iteration, k, Purpose.dropout);
    foreach (i, ref factor; layer.factor[]) factor = stream.word(i) >= least ? scale : 0;
    layer.active[] = layer.l[];
    layer.l[] = layer.active[] * layer.factor[];
}

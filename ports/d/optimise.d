/// From the descents of all parameters to a step: trimming, decay, momentum, Adam.
module optimise;

import core.math : sqrt;
import core.stdc.tgmath : pow;
import network : Network;

@nogc nothrow:

/// Scales all descents, so that the root of the sum of their squares is at most trim_norm.
private void shrink(T)(ref Network!T net)
{
    const T most = net.s.trimNorm;
    T squares = 0;
    foreach (d; net.descents) squares += d * d;
    const norm = sqrt(squares);
    if (norm > most) net.descents[] *= most / norm;
}

/// Without the bias units' rows, which are not in syn.
private void decay(T)(ref Network!T net)
{
    const T l1 = net.s.l1, l2 = net.s.l2;
    foreach (ref layer; net.layers[0 .. net.n.last])
        foreach (i, w; layer.syn[]) layer.synDescent[][i] -= l2 * w + l1 * ((w > 0) - (w < 0));
}

/// Nesterov's step is what the velocity v will be if the next descent is the same.
private void moveByMomentum(T)(ref Network!T net, T[] d, T[] v)
{
    const T alpha = net.s.alpha, momentum = net.s.momentum;
    v[] = momentum * v[] + d[];
    if (net.s.nesterov)
        net.parameters[] += alpha * (d[] + momentum * v[]);
    else
        net.parameters[] += alpha * v[];
}

/// m and v are averages of descents and of their squares, which began at 0.
private void moveByAdam(T)(ref Network!T net, long iteration, T[] d, T[] m, T[] v)
{
    const T alpha = net.s.alpha, epsilon = net.s.adamEpsilon;
    const T beta1 = net.s.beta1, beta2 = net.s.beta2, t = iteration + 1;
    const T first = 1 - pow(beta1, t), second = 1 - pow(beta2, t);
    m[] = beta1 * m[] + (1 - beta1) * d[];
    v[] = beta2 * v[] + (1 - beta2) * d[] * d[];
    foreach (i, ref w; net.parameters)
        w += alpha * (m[i] / first / (sqrt(v[i] / second) + epsilon));
}

/// From the descents of all parameters to the new state.
void improve(T)(ref Network!T net, long iteration)
{
    const T alpha = net.s.alpha;
    auto d = net.descents[];
    if (net.s.trimNorm > 0) shrink(net);
    if (net.s.l1 != 0 || net.s.l2 != 0) decay(net);
    // [update]
    if (net.s.adam)
        moveByAdam(net, iteration, d, net.memory[0 .. $ / 2], net.memory[$ / 2 .. $]);
    else if (net.s.momentum != 0)
        moveByMomentum(net, d, net.memory);
    else
        net.parameters[] += alpha * d[];
    // [/update]
}

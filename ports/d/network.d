/// The network that algorithm.d works on: flat buffers as matrices, and its batch.
module network;

import core.stdc.stdlib : free, malloc;
import random : shuffle;
import settings : Counts, Settings;

@nogc nothrow:

/// Rows of numbers that someone else owns. m[i] is row i, and m[] all numbers, row after row.
struct Matrix(T)
{
    T[] numbers;
    size_t rows, columns;

    @nogc nothrow:

    inout(T)[] opIndex(size_t i) inout { return numbers[i * columns .. (i + 1) * columns]; }
    alias numbers this;
}

/// An array that is freed where its owner ends. It has none until `allocate` succeeds.
struct Owned(T)
{
    T[] items;
    alias items this;

    @nogc nothrow:

    @disable this(this);
    ~this() { free(items.ptr); }

    bool allocate(size_t count)
    {
        auto memory = cast(T*) malloc(count * T.sizeof + 1);
        if (memory is null) return false;
        items = memory[0 .. count];
        items[] = T.init;
        return true;
    }
}

/// The next numbers, which are then no longer in the buffer.
T[] take(T)(ref T[] buffer, size_t count)
{
    auto taken = buffer[0 .. count];
    buffer = buffer[count .. $];
    return taken;
}

/// ditto
Matrix!T take(T)(ref T[] buffer, size_t rows, size_t columns)
{
    return Matrix!T(buffer.take(rows * columns), rows, columns);
}

/// What a pass computes of layer k, (rows of the batch) x units, and the weights from here to
/// layer k + 1. What the settings do not ask for is empty.
struct Layer(T)
{
    size_t units;
    Matrix!T l, error, delta;
    Matrix!T syn, synDescent;    /// n_k x n_{k+1}
    T[] bias, biasDescent;       /// the weights from the bias unit
    Matrix!T active;             /// with dropout: the activation's output, before it
    Matrix!T factor;             /// with dropout: 0, or the factor of a unit that is kept
    Matrix!T z;                  /// with batch normalisation: the weighted inputs, normalised
    T[] mu, deviation;           /// ... of the batch
    T[] gamma, beta, gammaDescent, betaDescent, mean, variance;
}

/// All its memory is taken in `open`.
struct Network(T)
{
    Settings s;
    Counts n;
    Owned!(Layer!T) layers;      /// 0 ... K; layer 0 has only l, which is the batch's X, and syn
    size_t rows;                 /// of the batch
    Matrix!T y;                  /// of the batch
    T[] parameters, memory, averages; /// the state; `memory` is the optimiser's
    Owned!T descents;            /// of all parameters

    private T[] X, allY, l, error, delta;   // of all samples, or with room for them
    private Owned!T active, factor, z, statistics;
    // With shuffling: the order of the samples in an epoch, and the batch's rows in that order.
    private Owned!size_t order;
    private long epoch = -1;
    private Owned!T batchX, batchY;

    @nogc nothrow:

    /// A network of this state, which it changes. It computes into l, error and delta, which have
    /// room for each batch. useBatch or useAll make it usable. False: there is no memory.
    bool open(Settings settings, T[] X, T[] y, T[] state, T[] l, T[] error, T[] delta)
    {
        s = settings;
        n = Counts(s);
        this.X = X;
        allY = y;
        parameters = state.take(n.parameters);
        memory = state.take(n.memory);
        averages = state;
        this.l = l;
        this.error = error;
        this.delta = delta;
        const dropped = s.dropout > 0 ? s.samples * n.hidden : 0;
        const shuffled = s.shuffle ? s.samples : 0;
        if (!layers.allocate(n.last + 1) || !descents.allocate(n.parameters)
            || !active.allocate(dropped) || !factor.allocate(dropped)
            || !z.allocate(s.samples * n.normal) || !statistics.allocate(2 * n.normal)
            || !order.allocate(shuffled) || !batchX.allocate(shuffled * n.inputs)
            || !batchY.allocate(shuffled * n.outputs))
            return false;
        foreach (k, ref layer; layers) layer.units = s.layers[k];
        layOutParameters();
        return true;
    }

    private void layOutParameters()
    {
        auto p = parameters, d = descents.items;
        foreach (k; 0 .. n.last) with (layers[k])
        {
            const outputs = layers[k + 1].units;
            syn = p.take(units, outputs);
            bias = p.take(s.bias * outputs);
            synDescent = d.take(units, outputs);
            biasDescent = d.take(s.bias * outputs);
        }
        if (!s.batchNorm) return;
        auto hidden = layers[1 .. n.last];
        auto a = averages, batch = statistics.items;
        foreach (ref layer; hidden) with (layer)
        {
            gamma = p.take(units);
            gammaDescent = d.take(units);
            mean = a.take(units);
            mu = batch.take(units);
            deviation = batch.take(units);
        }
        foreach (ref layer; hidden) with (layer) // these lie behind those of all layers
        {
            beta = p.take(units);
            betaDescent = d.take(units);
            variance = a.take(units);
        }
    }

    /// Makes the matrices of each layer as long as the batch.
    private void layOutLayers(size_t rows)
    {
        if (this.rows == rows) return;
        this.rows = rows;
        auto ls = l, errors = error, deltas = delta;
        foreach (ref layer; layers[1 .. $])
        {
            layer.l = ls.take(rows, layer.units);
            layer.error = errors.take(rows, layer.units);
            layer.delta = deltas.take(rows, layer.units);
        }
        auto actives = active.items, factors = factor.items, zs = z.items;
        foreach (ref layer; layers[1 .. n.last])
        {
            if (s.dropout > 0) layer.active = actives.take(rows, layer.units);
            if (s.dropout > 0) layer.factor = factors.take(rows, layer.units);
            if (s.batchNorm) layer.z = zs.take(rows, layer.units);
        }
    }

    /// Makes all samples the batch.
    void useAll() { useRows(0, s.samples); }

    /// Makes batch `iteration` modulo the number of batches the batch; the last may be smaller.
    void useBatch(long iteration)
    {
        if (s.batchSize == 0) return useAll();
        const batches = (s.samples - 1) / s.batchSize + 1;
        const first = iteration % batches * s.batchSize;
        const count = first + s.batchSize < s.samples ? s.batchSize : s.samples - first;
        if (s.shuffle)
            useShuffledRows(iteration / batches, first, count);
        else
            useRows(first, count);
    }

    private void useRows(size_t first, size_t count)
    {
        layOutLayers(count);
        auto inputs = X[first * n.inputs .. $];
        layers[0].l = inputs.take(count, n.inputs);
        if (allY.length == 0) return; // in inference
        auto outputs = allY[first * n.outputs .. $];
        y = outputs.take(count, n.outputs);
    }

    private void useShuffledRows(long epoch, size_t first, size_t count)
    {
        layOutLayers(count);
        if (this.epoch != epoch) shuffle(order, s.philoxSeed, epoch);
        this.epoch = epoch;
        auto inputs = batchX.items, outputs = batchY.items;
        layers[0].l = inputs.take(count, n.inputs);
        y = outputs.take(count, n.outputs);
        foreach (i, row; order[first .. first + count])
        {
            layers[0].l[i][] = X[row * n.inputs .. (row + 1) * n.inputs];
            y[i][] = allY[row * n.outputs .. (row + 1) * n.outputs];
        }
    }
}

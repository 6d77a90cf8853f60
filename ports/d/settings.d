/// The settings of conformance/contract/backprop.h, and how many numbers of each kind follow from them.
module settings;

@nogc nothrow:

/// As in backprop.h.
enum Status { ok = 0, noMemory = 3, failed = 4 }

/// ditto
enum long most = 1L << 40, mostLayers = 65_536;

/// ditto
enum Activation : long { sigmoid = 0, tanh = 1, relu = 2, softmax = 3 }

/// ditto
enum Loss : long { squared = 0, crossEntropy = 1 }

/// ditto; only the order and the types of the fields matter.
extern (C) struct Settings
{
    long layerCount;
    const(long)* layerSizes;
    long samples;
    double alpha;
    long bias;
    Activation activation, output;
    Loss loss;
    long batchSize, iteration;
    double trimValue, trimNorm, l1, l2, momentum;
    long nesterov, shuffle;
    double dropout;
    long philoxSeed, batchNorm;
    double normEpsilon, normRate;
    long adam;
    double beta1, beta2, adamEpsilon;
    long networks;

    @nogc nothrow:

    /// The sizes of the layers.
    const(long)[] layers() const { return layerSizes[0 .. layerCount]; }

    /// Whether backprop.h allows this, as backprop_valid.h checks it for C. There are no samples,
    /// leastSamples is 0, for initial weights. Layers are read if there are as many as there may be.
    bool valid(long leastSamples) const
    {
        const long[5] flags = [bias, nesterov, shuffle, batchNorm, adam];
        foreach (flag; flags)
            if (!flag.between(0, 1)) return false;
        return layerCount.between(2, mostLayers) && samples.between(leastSamples, most)
            && batchSize.between(0, most) && iteration.between(0, most)
            && networks.between(0, most) && philoxSeed >= 0
            && between(activation, Activation.sigmoid, Activation.relu)
            && between(output, Activation.sigmoid, Activation.softmax)
            && between(loss, Loss.squared, Loss.crossEntropy)
            && (output != Activation.softmax || loss == Loss.crossEntropy) && numbers <= most;
    }

    /// The same of a free run: the checkpoints rise, and there is room for all states.
    bool validRun(long checkpointCount, const(long)* checkpoints) const
    {
        if (!valid(1) || !checkpointCount.between(1, most)) return false;
        const states = product(networks > 1 ? networks : 1, checkpointCount);
        if (product(numbers, states) > most) return false;
        long least = 0;
        foreach (checkpoint; checkpoints[0 .. checkpointCount])
        {
            if (!checkpoint.between(least, most)) return false;
            least = checkpoint + 1;
        }
        return true;
    }

    /// At least as many as any array of one network has; more than `most`: too many.
    private long numbers() const
    {
        long weights, units, before;
        foreach (k, size; layers)
        {
            if (!size.between(1, most - 1)) return most + 1;
            units = sum(units, size);
            if (k > 0) weights = sum(weights, product(before + bias, size));
            before = size;
        }
        // The parameters, twice as many of the optimiser, and running averages.
        return sum(product(sum(weights, 4 * units), 3), product(units, samples));
    }
}

private bool between(long count, long least, long most) { return count >= least && count <= most; }

/// a + b and a * b of counts, or most + 1 if that is too many.
private long sum(long a, long b) { return a > most - b ? most + 1 : a + b; }

/// ditto
private long product(long a, long b) { return b > 0 && a > most / b ? most + 1 : a * b; }

/// Numbers of each kind.
struct Counts
{
    size_t last;       /// K: the output layer, and the number of weight matrices
    size_t inputs, outputs;
    size_t weights;    /// in all syn, with those from bias units
    size_t units;      /// of all layers but the first
    size_t hidden;     /// those of them that are not outputs
    size_t normal;     /// those of them that are normalised
    size_t parameters, memory, state;

    @nogc nothrow:

    this(ref const Settings s)
    {
        last = s.layers.length - 1;
        inputs = s.layers[0];
        outputs = s.layers[last];
        foreach (k; 0 .. last) weights += (s.layers[k] + s.bias) * s.layers[k + 1];
        foreach (size; s.layers[1 .. $]) units += size;
        hidden = units - outputs;
        normal = s.batchNorm ? hidden : 0;
        parameters = weights + 2 * normal;
        memory = s.adam ? 2 * parameters : s.momentum != 0 ? parameters : 0;
        state = parameters + memory + 2 * normal;
    }
}

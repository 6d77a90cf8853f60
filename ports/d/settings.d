/// The settings of conformance/backprop.h, and how many numbers of each kind follow from them.
module settings;

@nogc nothrow:

/// As in backprop.h.
enum Status { ok = 0, unsupported = 1, noMemory = 3 }

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

    /// Softmax has no slope for each unit alone, which a hidden layer or squared loss would need.
    bool supported() const
    {
        return layerCount >= 2 && activation >= Activation.sigmoid && activation <= Activation.relu
            && output >= Activation.sigmoid && output <= Activation.softmax
            && (loss == Loss.squared || loss == Loss.crossEntropy)
            && (output != Activation.softmax || loss == Loss.crossEntropy);
    }
}

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

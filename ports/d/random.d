/// Random numbers: Philox4x32-10 for training, MT19937 for initial weights.
module random;

@nogc nothrow:

/// The last word of a counter: the purpose of the words.
enum Purpose : uint { dropout = 0, shuffle = 1 }

/// A stream of 32-bit words, counted from 0; four follow from one counter, so a block of four is
/// kept.
struct Stream
{
    private ulong key;
    private uint[4] counter, words;
    private bool started;

    @nogc nothrow:

    this(long seed, long time, size_t layer, Purpose purpose)
    {
        key = seed;
        counter = [0, cast(uint) time, cast(uint) layer, purpose];
    }

    uint word(size_t index)
    {
        const block = cast(uint)(index / 4);
        if (!started || counter[0] != block)
        {
            started = true;
            counter[0] = block;
            words = philox(counter, key);
        }
        return words[index % 4];
    }
}

/// Ten rounds of multiplication; J. K. Salmon and others, SC 2011.
uint[4] philox(uint[4] c, ulong key)
{
    uint k0 = cast(uint) key, k1 = key >> 32;
    foreach (round; 0 .. 10)
    {
        const a = 0xD2511F53UL * c[0], b = 0xCD9E8D57UL * c[2];
        const uint aHigh = a >> 32, bHigh = b >> 32;
        c = [bHigh ^ c[1] ^ k0, cast(uint) b, aHigh ^ c[3] ^ k1, cast(uint) a];
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    return c;
}

/// The order of the samples in an epoch, shuffled from the end.
void shuffle(size_t[] order, long seed, long epoch)
{
    auto stream = Stream(seed, epoch, 0, Purpose.shuffle);
    foreach (i, ref place; order) place = i;
    foreach_reverse (i; 1 .. order.length)
    {
        const j = (stream.word(i) * (i + 1)) >> 32;
        const atI = order[i];
        order[i] = order[j];
        order[j] = atI;
    }
}

/// The Mersenne Twister; M. Matsumoto, T. Nishimura, ACM TOMACS 8(1), 1998.
struct Mt19937
{
    private enum size_t count = 624, middle = 397;
    private uint[count] x;
    private size_t next = count;

    @nogc nothrow:

    this(uint seed)
    {
        x[0] = seed;
        foreach (uint i; 1 .. count) x[i] = 1_812_433_253 * (x[i - 1] ^ (x[i - 1] >> 30)) + i;
    }

    /// In [0, 1), with 53 bits of two words.
    double number()
    {
        const a = word() >> 5, b = word() >> 6;
        return (a * 67_108_864.0 + b) / 9_007_199_254_740_992.0;
    }

    private uint word()
    {
        if (next == count) twist();
        uint y = x[next++];
        y ^= y >> 11;
        y ^= (y << 7) & 0x9D2C5680;
        y ^= (y << 15) & 0xEFC60000;
        return y ^ (y >> 18);
    }

    private void twist()
    {
        foreach (i; 0 .. count)
        {
            const y = (x[i] & 0x80000000) | (x[(i + 1) % count] & 0x7FFFFFFF);
            x[i] = x[(i + middle) % count] ^ (y >> 1) ^ (y & 1 ? 0x9908B0DF : 0);
        }
        next = 0;
    }
}

// Random numbers: Philox4x32-10 for training, MT19937 for initial weights.
//
// Bitwise operations give signed numbers of 32 bits; ">>> 0" makes a word of one.

/** The last word of a counter: the purpose of the words. */
export const FOR_DROPOUT = 0, FOR_SHUFFLE = 1;

/** The upper word of the product of two words. It has 64 bits, of which a number keeps 53: in two
 * parts, neither has more than 49. */
function high(a, b) {
  return Math.floor((a * (b >>> 16) + Math.floor((a * (b & 0xffff)) / 0x10000)) / 0x10000);
}

/** A stream of words, counted from 0; four follow from one counter, so a block of four is kept. */
export class PhiloxStream {
  constructor(seed, time, layer, purpose) {
    this.key = [Number(seed & 0xffffffffn), Number(seed >> 32n)];
    this.counter = [time >>> 0, layer, purpose];
    this.block = -1; // floor(index / 4) of the words that are kept
    this.words = [0, 0, 0, 0];
  }

  /** Ten rounds of multiplication; J. K. Salmon and others, SC 2011. */
  fill() {
    let [k0, k1] = this.key;
    let [c0, c1, c2, c3] = [this.block, ...this.counter];
    for (let round = 0; round < 10; round++) {
      const a = c0, b = c2;
      c0 = (high(b, 0xcd9e8d57) ^ c1 ^ k0) >>> 0;
      c1 = Math.imul(b, 0xcd9e8d57) >>> 0;
      c2 = (high(a, 0xd2511f53) ^ c3 ^ k1) >>> 0;
      c3 = Math.imul(a, 0xd2511f53) >>> 0;
      k0 = (k0 + 0x9e3779b9) >>> 0;
      k1 = (k1 + 0xbb67ae85) >>> 0;
    }
    this.words = [c0, c1, c2, c3];
  }

  word(index) {
    const block = Math.floor(index / 4);
    if (block !== this.block) {
      this.block = block;
      this.fill();
    }
    return this.words[index % 4];
  }
}

/** The order of the samples in an epoch, shuffled from the end. */
export function shuffle(order, seed, epoch) {
  const stream = new PhiloxStream(seed, epoch, 0, FOR_SHUFFLE);
  for (let i = 0; i < order.length; i++) order[i] = i;
  for (let i = order.length - 1; i > 0; i--) {
    const j = high(stream.word(i), i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
}

/** The Mersenne Twister; M. Matsumoto, T. Nishimura, ACM TOMACS 8(1), 1998. */
export class MT19937 {
  constructor(seed) {
    this.x = new Uint32Array(624);
    this.next = 624;
    this.x[0] = seed;
    for (let i = 1; i < 624; i++) {
      const before = this.x[i - 1];
      this.x[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
    }
  }

  twist() {
    const { x } = this;
    for (let i = 0; i < 624; i++) {
      const y = (x[i] & 0x80000000) | (x[(i + 1) % 624] & 0x7fffffff);
      x[i] = x[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.next = 0;
  }

  word() {
    if (this.next === 624) this.twist();
    let y = this.x[this.next++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** In [0, 1), with 53 bits of two words. */
  number() {
    const a = this.word() >>> 5, b = this.word() >>> 6;
    return (a * 2 ** 26 + b) / 2 ** 53;
  }
}

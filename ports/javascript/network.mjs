// The network that backprop.mjs works on: its arrays, which are made once, and its batch.
import { shuffle } from "./random.mjs";

const { Reals } = await import(`./dtype.mjs${new URL(import.meta.url).search}`);

/** Instead of the number of an update. */
export const INFERENCE = -1;

/** [rows, columns] of each matrix of the state, and how many of them are parameters. */
export function stateShapes(layers, settings) {
  const syn = layers.slice(1).map((units, k) => [layers[k] + Number(settings.bias), units]);
  const norm = settings.batch_norm ? layers.slice(1, -1).map((units) => [1, units]) : [];
  const parameters = [...syn, ...norm, ...norm];
  const memories = settings.adam ? 2 : settings.momentum !== 0 ? 1 : 0;
  const memory = Array(memories).fill(parameters).flat();
  return { shapes: [...parameters, ...memory, ...norm, ...norm], parameters: parameters.length };
}

/** Views of the matrices that lie in one array, one after another. */
export function views(array, shapes) {
  let end = 0;
  return shapes.map(([rows, columns]) => array.subarray(end, (end += rows * columns)));
}

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

/**
 * A network and its batch, with room for what one update computes. Lists have one entry per
 * layer: l[k], error[k] and delta[k] are samples x layers[k] (error and delta from k = 1 on),
 * syn[k] is (layers[k] + bias) x layers[k + 1]. Each matrix is flat, row after row.
 */
export class Network {
  /** X and y are all samples; the state is copied. */
  constructor(layers, settings, X, y, state) {
    this.layers = layers;
    this.settings = settings;
    this.last = layers.length - 1; // K: the output layer, and the number of weight matrices
    this.samples = X.length / layers[0];
    this.allX = X;
    this.allY = y;
    this.useState(Reals.from(state));

    const perLayer = () => layers.map((units) => new Reals(this.samples * units));
    this.l = perLayer(); // l[0] is the batch's X
    this.error = perLayer();
    this.delta = perLayer();
    // With batch normalisation: the inputs, normalised, and the root of the batch's variance.
    this.z = settings.batch_norm ? perLayer() : [];
    this.deviation = settings.batch_norm ? layers.map((units) => new Reals(units)) : [];
    // With dropout: the activation's output, of which l[k] is the kept part, and 0 or the
    // factor of a unit that was kept.
    this.active = settings.dropout > 0 ? perLayer() : [];
    this.factor = settings.dropout > 0 ? perLayer() : [];

    this.batches = this.cut();
    // With shuffling: the order of an epoch, and copies of the batch's rows in that order.
    this.order = settings.shuffle ? new Uint32Array(this.samples) : null;
    this.epoch = -1; // that the order is of
    this.gatheredX = settings.shuffle ? X.slice() : null;
    this.gatheredY = settings.shuffle ? y.slice() : null;
    this.useAll();
  }

  /** Takes the matrices out of a state; a descent has the place of its parameter. */
  useState(state) {
    const { last, layers } = this;
    const { shapes, parameters } = stateShapes(layers, this.settings);
    const size = sum(shapes.slice(0, parameters).map(([rows, columns]) => rows * columns));
    this.state = state;
    this.parameters = state.subarray(0, size);
    this.memory = state.subarray(size); // of the optimiser, and after it the running averages
    this.descents = new Reals(size);

    const hidden = last - 1, matrices = views(state, shapes);
    const descents = views(this.descents, shapes.slice(0, parameters));
    // Hidden layers begin at k = 1, as the lists of their matrices do.
    const ofHidden = (list, first) => [null, ...list.slice(first, first + hidden)];
    this.syn = matrices.slice(0, last);
    this.descent = descents.slice(0, last);
    if (!this.settings.batch_norm) return;
    this.gamma = ofHidden(matrices, last);
    this.beta = ofHidden(matrices, last + hidden);
    this.gammaDescent = ofHidden(descents, last);
    this.betaDescent = ofHidden(descents, last + hidden);
    this.mean = ofHidden(matrices, matrices.length - 2 * hidden);
    this.variance = ofHidden(matrices, matrices.length - hidden);
  }

  /** The batches in the order of the data; the last may be smaller. */
  cut() {
    const inputs = this.layers[0], outputs = this.layers[this.last];
    const most = this.settings.batch_size || this.samples, batches = [];
    for (let first = 0; first < this.samples; first += most) {
      const end = Math.min(first + most, this.samples);
      const X = this.allX.subarray(first * inputs, end * inputs);
      const y = this.allY.subarray(first * outputs, end * outputs);
      batches.push({ first, rows: end - first, X, y });
    }
    return batches;
  }

  /** Makes all samples the batch, for inference. */
  useAll() {
    this.iteration = INFERENCE;
    this.rows = this.samples;
    this.l[0] = this.allX;
    this.y = this.allY;
  }

  /** Makes batch n modulo the number of batches the batch, for update n. */
  useBatch(n) {
    const b = n % this.batches.length, batch = this.batches[b];
    this.iteration = n;
    this.rows = batch.rows;
    this.l[0] = batch.X;
    this.y = batch.y;
    if (this.settings.shuffle) this.gather((n - b) / this.batches.length, batch.first);
  }

  /** Makes the rows at these places of the epoch's order the batch. */
  gather(epoch, first) {
    const inputs = this.layers[0], outputs = this.layers[this.last];
    if (this.epoch !== epoch) shuffle(this.order, this.settings.philox_seed, epoch);
    this.epoch = epoch;
    for (let i = 0; i < this.rows; i++) {
      const row = this.order[first + i];
      const x = this.allX.subarray(row * inputs, (row + 1) * inputs);
      this.gatheredX.set(x, i * inputs);
      this.gatheredY.set(this.allY.subarray(row * outputs, (row + 1) * outputs), i * outputs);
    }
    this.l[0] = this.gatheredX;
    this.y = this.gatheredY;
  }
}

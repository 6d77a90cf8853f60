// What a layer does besides the matrix product, each operation beside its derivative.
import { FOR_DROPOUT, PhiloxStream } from "./random.mjs";

const { search } = new URL(import.meta.url);
const { round } = await import(`./dtype.mjs${search}`);
const { INFERENCE } = await import(`./network.mjs${search}`);

/**
 * Each turns weighted inputs x, rows x units, into outputs, in place; and an error into a
 * delta, by the slope, from the outputs l. A call takes whole layers: a number that goes
 * into a call, or comes out of one, may have to be allocated.
 */
export const activations = {
  sigmoid: {
    // [forward]
    forward(x, rows, units) {
      for (let i = 0; i < rows * units; i++) x[i] = 1 / round(1 + round(Math.exp(-x[i])));
    },
    // [/forward]
    // [output-delta]
    // [hidden-delta]
    back(delta, error, l, count) {
      for (let i = 0; i < count; i++) delta[i] = error[i] * round(l[i] * round(1 - l[i]));
    },
    // [/hidden-delta]
    // [/output-delta]
  },
  tanh: {
    forward(x, rows, units) {
      for (let i = 0; i < rows * units; i++) x[i] = Math.tanh(x[i]);
    },
    back(delta, error, l, count) {
      for (let i = 0; i < count; i++) delta[i] = error[i] * round(1 - l[i] * l[i]);
    },
  },
  relu: {
    forward(x, rows, units) {
      for (let i = 0; i < rows * units; i++) if (!(x[i] > 0)) x[i] = 0;
    },
    back(delta, error, l, count) {
      for (let i = 0; i < count; i++) delta[i] = l[i] > 0 ? error[i] : 0;
    },
  },
  softmax: {
    forward(x, rows, units) {
      for (let i = 0; i < rows; i++) softmaxRow(x, i * units, (i + 1) * units);
    },
  },
};

/** With cross-entropy the output's slope and the loss's cancel each other. */
export const crossEntropyBack = (delta, error, l, count) => {
  for (let i = 0; i < count; i++) delta[i] = error[i];
};

/** One row, from `first` to before `end`. Without its maximum, no exp can overflow. */
function softmaxRow(x, first, end) {
  let largest = x[first], sum = 0;
  for (let n = first; n < end; n++) if (x[n] > largest) largest = x[n];
  for (let n = first; n < end; n++) {
    x[n] = Math.exp(round(x[n] - largest));
    sum = round(sum + x[n]);
  }
  for (let n = first; n < end; n++) x[n] /= sum;
}

/**
 * Column n of x, the weighted inputs of layer k, gets mean beta and deviation gamma; the
 * running averages take in one more batch. z is kept for backward.
 */
function normaliseUnit(net, k, x, n) {
  const { rows, settings } = net, units = net.layers[k], end = rows * units;
  const z = net.z[k], gamma = net.gamma[k][n], beta = net.beta[k][n];
  let sum = 0, squares = 0;
  for (let i = n; i < end; i += units) sum = round(sum + x[i]);
  const mu = round(sum / rows);
  for (let i = n; i < end; i += units) {
    const centred = round(x[i] - mu);
    squares = round(squares + centred * centred);
  }
  const v = round(squares / rows);
  const deviation = round(Math.sqrt(round(v + settings.norm_epsilon)));
  for (let i = n; i < end; i += units) {
    z[i] = round(x[i] - mu) / deviation;
    x[i] = gamma * z[i] + beta;
  }
  net.deviation[k][n] = deviation;
  net.mean[k][n] += settings.norm_rate * round(mu - net.mean[k][n]);
  net.variance[k][n] += settings.norm_rate * round(v - net.variance[k][n]);
}

/** The same with running averages instead of the batch's own. */
function normaliseUnitForInference(net, k, x, n) {
  const units = net.layers[k], gamma = net.gamma[k][n], beta = net.beta[k][n];
  const mean = net.mean[k][n];
  const deviation = round(Math.sqrt(round(net.variance[k][n] + net.settings.norm_epsilon)));
  for (let i = n; i < net.rows * units; i += units) {
    x[i] = gamma * round(round(x[i] - mean) / deviation) + beta;
  }
}

export function normalise(net, k, x) {
  const unit = net.iteration === INFERENCE ? normaliseUnitForInference : normaliseUnit;
  for (let n = 0; n < net.layers[k]; n++) unit(net, k, x, n);
}

/**
 * Back through normalise(): delta, the error of its output, becomes that of x. Mean and
 * deviation depend on every row, and so each row's error depends on all rows.
 */
export function normaliseBack(net, k) {
  const { rows } = net, units = net.layers[k], delta = net.delta[k], z = net.z[k];
  for (let n = 0; n < units; n++) {
    const gamma = net.gamma[k][n], deviation = net.deviation[k][n];
    let sum = 0, product = 0; // of the error, and of it with z
    for (let i = n; i < rows * units; i += units) {
      sum = round(sum + delta[i]);
      product = round(product + delta[i] * z[i]);
    }
    net.gammaDescent[k][n] = product;
    net.betaDescent[k][n] = sum;
    const mean = round(round(gamma * sum) / rows), along = round(round(gamma * product) / rows);
    for (let i = n; i < rows * units; i += units) {
      const centred = round(gamma * delta[i] - mean);
      delta[i] = round(centred - z[i] * along) / deviation;
    }
  }
}

/**
 * Leaves units of layer k out at random, and scales the others to make up for them. The
 * activation's output is kept, since the slope is taken from it.
 */
export function drop(net, k) {
  const { dropout, philox_seed } = net.settings;
  const l = net.l[k], active = net.active[k], factor = net.factor[k];
  const scale = round(1 / round(1 - dropout)), least = dropout * 2 ** 32;
  const stream = new PhiloxStream(philox_seed, net.iteration, k, FOR_DROPOUT);
  for (let i = 0; i < net.rows * net.layers[k]; i++) {
    active[i] = l[i];
    factor[i] = stream.word(i) >= least ? scale : 0;
    l[i] *= factor[i];
  }
}

/** Back through drop(): what was left out gets no error. */
export function dropBack(delta, factor, count) {
  for (let i = 0; i < count; i++) delta[i] *= factor[i];
}

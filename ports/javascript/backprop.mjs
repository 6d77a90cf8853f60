// Backpropagation in JavaScript: forward, backward, update, and what a port is asked for.
//
// layers.mjs has what a layer does besides the matrix product, optimise.mjs what is done with a
// descent, network.mjs the arrays, random.mjs the generators.
import { MT19937 } from "./random.mjs";

const { search } = new URL(import.meta.url);
const { round, Reals } = await import(`./dtype.mjs${search}`);
const { activations, crossEntropyBack, drop, dropBack, normalise, normaliseBack } = await import(
  `./layers.mjs${search}`
);
const { improve } = await import(`./optimise.mjs${search}`);
const { INFERENCE, Network, stateShapes, views } = await import(`./network.mjs${search}`);
export { Network, Reals };

// [forward]
/** x = [l, 1] syn, the 1 only with bias units; x is rows x outputs. */
function multiply(x, l, syn, rows, inputs, outputs, bias) {
  for (let i = 0; i < rows; i++) {
    for (let n = 0; n < outputs; n++) {
      let sum = bias ? syn[inputs * outputs + n] : 0;
      for (let m = 0; m < inputs; m++) sum = round(sum + l[i * inputs + m] * syn[m * outputs + n]);
      x[i * outputs + n] = sum;
    }
  }
}
// [/forward]

// [forward]
/** l[k + 1] = activation([l[k], 1] syn[k]) */
function forward(net) {
  const { l, syn, layers, last, rows, settings } = net;
  for (let k = 0; k < last; k++) {
    const hidden = k + 1 < last, outputs = layers[k + 1];
    const activation = activations[hidden ? settings.activation : settings.output];
    multiply(l[k + 1], l[k], syn[k], rows, layers[k], outputs, settings.bias);
    if (hidden && settings.batch_norm) normalise(net, k + 1, l[k + 1]);
    activation.forward(l[k + 1], rows, outputs);
    if (hidden && settings.dropout > 0 && net.iteration !== INFERENCE) drop(net, k + 1);
  }
}
// [/forward]

// [output-delta]
/** error[K] = y - l[K] */
function miss(error, y, l, count) {
  for (let i = 0; i < count; i++) error[i] = y[i] - l[i];
}
// [/output-delta]

// [hidden-delta]
/** error[k] = delta[k + 1] syn[k]^T; m never reaches the bias unit's row: no error goes
 * there. */
function multiplyBack(error, delta, syn, rows, units, outputs) {
  for (let i = 0; i < rows; i++) {
    for (let m = 0; m < units; m++) {
      let sum = 0;
      for (let n = 0; n < outputs; n++) {
        sum = round(sum + delta[i * outputs + n] * syn[m * outputs + n]);
      }
      error[i * units + m] = sum;
    }
  }
}
// [/hidden-delta]

function trim(delta, count, most) {
  for (let i = 0; i < count; i++) delta[i] = Math.min(Math.max(delta[i], -most), most);
}

/**
 * error[K] = y - l[K], error[k] = delta[k + 1] syn[k]^T, delta[k] = error[k] slope(l[k]), and then
 * back through everything else between weighted inputs and output.
 */
function backward(net) {
  const { l, syn, error, delta, layers, last, rows, settings } = net;
  // [hidden-delta]
  for (let k = last; k > 0; k--) {
    const count = rows * layers[k], hidden = k < last;
    if (!hidden) {
      // [output-delta]
      miss(error[k], net.y, l[k], count);
      if (settings.loss === "cross-entropy") crossEntropyBack(delta[k], error[k], l[k], count);
      else activations[settings.output].back(delta[k], error[k], l[k], count);
      // [/output-delta]
    } else {
      const active = settings.dropout > 0 ? net.active[k] : l[k];
      multiplyBack(error[k], delta[k + 1], syn[k], rows, layers[k], layers[k + 1]);
      activations[settings.activation].back(delta[k], error[k], active, count);
      if (settings.dropout > 0) dropBack(delta[k], net.factor[k], count);
      if (settings.batch_norm) normaliseBack(net, k);
    }
    if (settings.trim_value > 0) trim(delta[k], count, settings.trim_value);
  }
  // [/hidden-delta]
}

// [update]
/** descent = [l, 1]^T delta: a sum over the batch for each weight. */
function descend(descent, l, delta, rows, inputs, outputs, bias) {
  for (let m = 0; m < inputs; m++) {
    for (let n = 0; n < outputs; n++) {
      let sum = 0;
      for (let i = 0; i < rows; i++) sum = round(sum + l[i * inputs + m] * delta[i * outputs + n]);
      descent[m * outputs + n] = sum;
    }
  }
  for (let n = 0; bias && n < outputs; n++) {
    let sum = 0;
    for (let i = 0; i < rows; i++) sum = round(sum + delta[i * outputs + n]);
    descent[inputs * outputs + n] = sum;
  }
}
// [/update]

/** One update, from the batch. No weight changes before backward has used all the old ones. */
function iterate(net) {
  const { l, delta, layers, descent } = net;
  forward(net);
  backward(net);
  // [update]
  for (let k = 0; k < net.last; k++) {
    const [inputs, outputs] = [layers[k], layers[k + 1]];
    descend(descent[k], l[k], delta[k + 1], net.rows, inputs, outputs, net.settings.bias);
  }
  improve(net);
  // [/update]
}

/** l[K] of all samples, in inference. */
export function predict(net) {
  net.useAll();
  forward(net);
  return net.l[net.last];
}

// [checkpoint]
/** The mean of |y - l[K]| over all samples. */
function meanError(net) {
  const output = predict(net);
  let sum = 0;
  for (let i = 0; i < output.length; i++) sum = round(sum + round(Math.abs(net.y[i] - output[i])));
  return round(sum / output.length);
}
// [/checkpoint]

// [checkpoint]
/** The free run: [n, error, state] at each checkpoint n. The state changes after that. */
export function* train(net, checkpoints) {
  let n = 0;
  for (const checkpoint of checkpoints) {
    for (; n < checkpoint; n++) {
      net.useBatch(n);
      iterate(net);
    }
    yield [n, meanError(net), net.state];
  }
}
// [/checkpoint]

/** Update n alone; l, error and delta then have the first net.rows rows of their arrays. */
export function step(net, n) {
  net.useBatch(n);
  iterate(net);
}

/** The initial state, with weights drawn from a seed. */
export function initial(layers, settings, seed) {
  const { shapes } = stateShapes(layers, settings);
  const last = layers.length - 1, hidden = settings.batch_norm ? last - 1 : 0;
  const state = new Reals(shapes.reduce((sum, [rows, columns]) => sum + rows * columns, 0));
  const generator = new MT19937(seed);
  views(state, shapes).forEach((matrix, place) => {
    if (place < last) {
      const drawn = layers[place] * layers[place + 1]; // all but the bias unit's row
      for (let i = 0; i < drawn; i++) matrix[i] = 2 * generator.number() - 1;
    }
    // gamma, and the running variances, which are the last of all
    const ofGamma = place >= last && place < last + hidden;
    if (ofGamma || place >= shapes.length - hidden) matrix.fill(1);
  });
  return state;
}

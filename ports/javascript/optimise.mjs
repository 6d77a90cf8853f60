// From the descents of all parameters to a step: trimming, decay, momentum, Adam.
const { round } = await import(`./dtype.mjs${new URL(import.meta.url).search}`);

/** Scales all descents, so that the root of the sum of their squares is at most trim_norm. */
function shrink(descents, trim_norm) {
  let squares = 0;
  for (let i = 0; i < descents.length; i++) squares = round(squares + descents[i] * descents[i]);
  const norm = round(Math.sqrt(squares));
  if (!(norm > trim_norm)) return;
  const factor = round(trim_norm / norm);
  for (let i = 0; i < descents.length; i++) descents[i] *= factor;
}

/** descent[k] -= l2 syn[k] + l1 sign(syn[k]), without the bias unit's row. */
function decay(net, k) {
  const { l1, l2 } = net.settings, syn = net.syn[k], descent = net.descent[k];
  const count = net.layers[k] * net.layers[k + 1];
  for (let i = 0; i < count; i++) {
    descent[i] -= round(round(l2 * syn[i]) + l1 * Math.sign(syn[i]));
  }
}

// [update]
/** Each parameter += alpha times its descent. */
function move({ parameters, descents, settings: { alpha } }) {
  for (let i = 0; i < parameters.length; i++) parameters[i] += alpha * descents[i];
}
// [/update]

/** With momentum, alpha times the new velocity v; with Nesterov's, times what the velocity will be
 * if the next descent is the same. */
function moveByMomentum({ parameters, memory: v, descents, settings }) {
  const { alpha, momentum, nesterov } = settings;
  for (let i = 0; i < parameters.length; i++) {
    const d = descents[i];
    v[i] = momentum * v[i] + d;
    parameters[i] += alpha * (nesterov ? round(d + momentum * v[i]) : v[i]);
  }
}

/** With Adam, m and v are averages of descents and of their squares, which began at 0. */
function moveByAdam({ parameters, memory, descents, settings, iteration }) {
  const { alpha, beta1, beta2, adam_epsilon } = settings, t = iteration + 1;
  const rest1 = round(1 - beta1), rest2 = round(1 - beta2);
  const first = round(1 - round(beta1 ** t)), second = round(1 - round(beta2 ** t));
  const m = memory, v = memory.subarray(parameters.length);
  for (let i = 0; i < parameters.length; i++) {
    const d = descents[i];
    m[i] = beta1 * m[i] + round(rest1 * d);
    v[i] = beta2 * v[i] + round(rest2 * round(d * d));
    const root = round(Math.sqrt(round(v[i] / second)));
    parameters[i] += alpha * round(round(m[i] / first) / round(root + adam_epsilon));
  }
}

/** From the descents of all parameters to the new state. */
export function improve(net) {
  const { settings } = net;
  if (settings.trim_norm > 0) shrink(net.descents, settings.trim_norm);
  for (let k = 0; k < net.last && (settings.l1 !== 0 || settings.l2 !== 0); k++) decay(net, k);
  if (settings.adam) moveByAdam(net);
  else if (settings.momentum !== 0) moveByMomentum(net);
  else move(net);
}

// The wire protocol of conformance/contract/PORTING.md: one JSON object per line in, one
// per line out.
import { createInterface } from "node:readline";
import { stateShapes } from "./network.mjs?float64";

/** A copy of the modules for each dtype; dtype.mjs says why. */
const computers = {
  float64: await import("./backprop.mjs?float64"),
  float32: await import("./backprop.mjs?float32"),
};

/** A setting that a request does not have leaves its capability out. */
const DEFAULTS = {
  alpha: 1, bias: false, activation: "sigmoid", output: "sigmoid", loss: "squared",
  batch_size: 0, shuffle: false, dropout: 0, philox_seed: "0",
  batch_norm: false, norm_epsilon: 0, norm_rate: 0, trim_value: 0, trim_norm: 0, l1: 0, l2: 0,
  momentum: 0, nesterov: false, adam: false, beta1: 0, beta2: 0, adam_epsilon: 0,
};
const NOT_SETTINGS = [
  "id", "op", "dtype", "layers", "X", "y", "weights", "iteration", "checkpoints", "numpy_seed",
  "shapes", "networks",
];
const CHOICES = {
  activation: ["sigmoid", "tanh", "relu"],
  output: ["sigmoid", "tanh", "relu", "softmax"],
  loss: ["squared", "cross-entropy"],
};

/** A valid request for something that this port does not support. */
class Unsupported extends Error {}

/** All settings. An unknown one is refused: ignoring it would change the result. */
function settingsOf(request) {
  const settings = { ...DEFAULTS };
  for (const [key, value] of Object.entries(request)) {
    if (NOT_SETTINGS.includes(key)) continue;
    if (!(key in DEFAULTS)) throw new Unsupported(`the setting ${key}`);
    if (key in CHOICES && !CHOICES[key].includes(value)) throw new Unsupported(`${key} ${value}`);
    if (typeof value !== typeof DEFAULTS[key]) throw new Error(`${key} is ${value}`);
    settings[key] = value;
  }
  const { output, loss } = settings, crossEntropy = loss === "cross-entropy";
  if (output === "softmax" && !crossEntropy) throw new Unsupported("softmax with squared error");
  if (crossEntropy && !["sigmoid", "softmax"].includes(output)) {
    throw new Unsupported(`cross-entropy of ${output}`);
  }
  settings.philox_seed = BigInt(settings.philox_seed);
  return settings;
}

/** A matrix as a list of rows becomes flat; `rows` may be left open. */
function flat(name, matrix, columns, rows = matrix?.length) {
  const right = Array.isArray(matrix) && matrix.length === rows && rows > 0 &&
    matrix.every((row) => Array.isArray(row) && row.length === columns);
  if (!right) throw new Error(`${name} is not a list of ${rows ?? "m"} rows of ${columns} numbers`);
  return matrix.flat();
}

/** The first `rows` rows of a flat matrix, as lists. */
function nested(matrix, rows, columns) {
  return Array.from({ length: rows }, (_, i) =>
    Array.from(matrix.subarray(i * columns, (i + 1) * columns)),
  );
}

/** The matrices of a flat state. */
function nestedState(state, shapes) {
  let end = 0;
  return shapes.map(([rows, columns]) =>
    nested(state.subarray(end, (end += rows * columns)), rows, columns),
  );
}

/** A network of a request; `weights` are the matrices of its state. */
function networkOf(request, weights, settings, shapes, { Network, Reals }) {
  const { layers } = request;
  if (weights?.length !== shapes.length) throw new Error(`weights: not ${shapes.length} matrices`);
  const X = Reals.from(flat("X", request.X, layers[0]));
  const samples = X.length / layers[0], outputs = layers.at(-1);
  const y = Reals.from(request.op === "predict" ? [] : flat("y", request.y, outputs, samples));
  const state = shapes.map(([r, c], place) => flat(`weights[${place}]`, weights[place], c, r));
  return new Network(layers, settings, X, y, state.flat());
}

/** The checkpoints of a free run of one network. */
function runOf(request, weights, settings, shapes, computer) {
  const run = [], net = networkOf(request, weights, settings, shapes, computer);
  for (const [iteration, error, state] of computer.train(net, request.checkpoints)) {
    run.push({ iteration, error, weights: nestedState(state, shapes) });
  }
  return run;
}

/** Those of an ensemble: its networks are trained one after the other, each as if it were alone. */
function runOfAll(request, ...rest) {
  const ofNetwork = (i) => request.weights.map((ofAll) => ofAll[i]);
  const runs = Array.from({ length: request.networks }, (_, i) =>
    runOf(request, ofNetwork(i), ...rest),
  );
  return request.checkpoints.map((iteration, c) => ({
    iteration,
    error: runs.map((run) => run[c].error),
    weights: request.weights.map((_, place) => runs.map((run) => run[c].weights[place])),
  }));
}

function answer(request) {
  const { op, layers, dtype } = request;
  if (op === "hello") return { format: 1, device: "cpu" };
  if (!["train", "step", "predict", "initial"].includes(op)) throw new Unsupported(`the op ${op}`);
  if (!Object.hasOwn(computers, dtype)) throw new Unsupported(`the dtype ${dtype}`);
  if (!Array.isArray(layers) || layers.length < 2) throw new Error(`layers are ${layers}`);
  const computer = computers[dtype], settings = settingsOf(request);
  const { shapes } = stateShapes(layers, settings);
  if (op === "initial") {
    return { weights: nestedState(computer.initial(layers, settings, request.numpy_seed), shapes) };
  }
  if (op === "train") {
    const run = request.networks === undefined
      ? runOf(request, request.weights, settings, shapes, computer)
      : runOfAll(request, settings, shapes, computer);
    return { checkpoints: run };
  }
  const net = networkOf(request, request.weights, settings, shapes, computer);
  if (op === "predict") {
    return { output: nested(computer.predict(net), net.samples, layers.at(-1)) };
  }
  computer.step(net, request.iteration ?? 0);
  const ofLayers = (list) => list.slice(1).map((a, k) => nested(a, net.rows, layers[k + 1]));
  return {
    l: ofLayers(net.l),
    error: ofLayers(net.error),
    delta: ofLayers(net.delta),
    weights: nestedState(net.state, shapes),
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  let id = null, reply;
  try {
    // A number of JSON.parse keeps 53 bits; the seed may have 63, and is taken as a string.
    const request = JSON.parse(line.replace(/("philox_seed"\s*:\s*)(\d+)/, '$1"$2"'));
    id = request.id;
    reply = answer(request);
  } catch (error) {
    reply = { [error instanceof Unsupported ? "unsupported" : "failure"]: error.message };
  }
  process.stdout.write(JSON.stringify({ id, ...reply }) + "\n");
}


// Watch it learn: a frame for each checkpoint, four stages each.
const learned = JSON.parse(document.getElementById("learn-data").textContent);
const STAGES = ["forward", "output", "hidden", "update"];
const controls = document.getElementById("learn-controls");
const slider = document.getElementById("learn-frame");
const play = document.getElementById("learn-play");
const short = (value) => String(Number(value.toPrecision(3)));
const list = (values) => "[" + values.map(short).join(", ") + "]";

function stage() { return controls.elements.stage.value; }

// What a node shows: its output; or in the delta stages its delta, once it is computed.
function nodeValue(frame, k, i, sample) {
  const delta = k > 0 ? frame.delta[k - 1][sample][i] : null;
  const known = { forward: 3, output: 2, hidden: 1, update: 1 }[stage()];
  if (k >= known) return { name: `l${k}_delta[${i}]`, value: delta, signed: true };
  return { name: `l${k}[${i}]`, value: k ? frame.l[k - 1][sample][i] : learned.X[sample][i], signed: false };
}

function say(frame, sample) {
  const x = learned.X[sample].join(" ");
  const [l1, l2] = frame.l.map((layer) => layer[sample]);
  const [l1Error, l2Error] = frame.l_error.map((layer) => layer[sample]);
  const [l1Delta, l2Delta] = frame.delta.map((layer) => layer[sample]);
  const of = `Iteration ${frame.n.toLocaleString("en")}, error ${short(frame.error)}; sample ${x}: `;
  return of + {
    forward: `l1 = ${list(l1)}, l2 = ${list(l2)}; target y = ${learned.y[sample]}.`,
    output: `l2_error = y - l2 = ${list(l2Error)}; times the slope l2 (1 - l2), l2_delta = ${list(l2Delta)}.`,
    hidden: `l1_error = l2_delta times syn1 = ${list(l1Error)}; times the slope l1 (1 - l1), l1_delta = ${list(l1Delta)}.`,
    update: "all four samples together change the weights, as the lines and tables now show.",
  }[stage()];
}

function draw() {
  const frame = learned.frames[Number(slider.value)];
  const sample = Number(controls.elements.sample.value);
  const updating = stage() === "update";
  const lines = updating ? frame.change : frame.syn;
  const most = Math.max(...lines.flat(2).map(Math.abs)) || 1;
  for (const line of document.querySelectorAll("[data-edge]")) {
    const [k, i, j] = line.dataset.edge.split(" ").map(Number);
    line.setAttribute("class", lines[k][i][j] < 0 ? "minus" : "plus");
    line.setAttribute("stroke-width", 0.5 + (6 * Math.abs(lines[k][i][j])) / most);
  }
  for (const node of document.querySelectorAll("[data-node]")) {
    const [k, i] = node.dataset.node.split(" ").map(Number);
    const { name, value, signed } = nodeValue(frame, k, i, sample);
    node.querySelector(".name").textContent = name;
    node.querySelector(".value").textContent = short(value);
    node.setAttribute("class", signed ? (value < 0 ? "minus" : "plus") : "");
    node.querySelector(".tint").style.fillOpacity = signed ? 0.2 : 0.7 * value;
  }
  for (const cell of document.querySelectorAll("[data-weight]")) {
    const [k, i, j] = cell.dataset.weight.split(" ").map(Number);
    cell.textContent = (updating && lines[k][i][j] > 0 ? "+" : "") + Number(lines[k][i][j].toPrecision(4));
  }
  for (const of of document.querySelectorAll(".change-of")) {
    of.textContent = (updating ? "change in update " : "at iteration ") + (updating ? frame.n + 1 : frame.n).toLocaleString("en");
  }
  const n = "iteration " + frame.n.toLocaleString("en");
  document.getElementById("learn-n").textContent = n;
  slider.setAttribute("aria-valuetext", n); // otherwise screen readers say its position
  document.getElementById("learn-says").textContent = say(frame, sample);
}

// One stage forward or back, across frames; false at either end.
function move(by) {
  const now = Number(slider.value) * STAGES.length + STAGES.indexOf(stage()) + by;
  if (now < 0 || now >= learned.frames.length * STAGES.length) return false;
  slider.value = Math.floor(now / STAGES.length);
  controls.elements.stage.value = STAGES[now % STAGES.length];
  draw();
  return true;
}

let timer = null;
function setPlaying(playing) {
  // While it plays, screen readers stay quiet.
  document.getElementById("learn-says").setAttribute("aria-live", playing ? "off" : "polite");
  clearInterval(timer);
  timer = playing ? setInterval(() => move(1) || setPlaying(false), 1200) : null;
  play.textContent = playing ? "Pause" : "Play";
}
controls.addEventListener("input", draw);
controls.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("learn-back").addEventListener("click", () => move(-1));
document.getElementById("learn-step").addEventListener("click", () => move(1));
play.addEventListener("click", () => {
  const atEnd = Number(slider.value) === learned.frames.length - 1 && stage() === "update";
  if (atEnd) {
    slider.value = 0;
    controls.elements.stage.value = "forward";
    draw();
  }
  setPlaying(timer === null);
});
draw();

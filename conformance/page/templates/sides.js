"use strict";
// What needs a script is hidden without one.
document.documentElement.classList.add("scripted");

// A link into closed details opens them, in browsers that do not do so themselves.
function reveal() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  if (target) target.scrollIntoView();
}
addEventListener("hashchange", reveal);
if (location.hash) reveal();

// What does not scroll needs no stop of the Tab key, and paper has no folds.
function settle() {
  for (const one of document.querySelectorAll(".wide, pre")) {
    const scrolls = one.scrollWidth > one.clientWidth || one.scrollHeight > one.clientHeight;
    one.toggleAttribute("tabindex", false);
    if (scrolls) one.tabIndex = 0;
  }
}
addEventListener("resize", settle);
document.addEventListener("toggle", settle, true);
addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("details")) one.open = true;
});

// Drift: one port's line in all panels.
const driftPort = document.getElementById("drift-port");
if (driftPort) {
  driftPort.addEventListener("change", () => {
    for (const line of document.querySelectorAll("[id*='-line-']")) {
      const name = line.id.slice(line.id.indexOf("-line-") + 6);
      line.classList.toggle("out", driftPort.value !== "" && name === driftPort.value);
    }
  });
}

// Side by side: the chosen step of the chosen programs, taken from the list below.
const choice = document.getElementById("sides-choice");
function showSides() {
  const chosen = new FormData(choice);
  const step = document.getElementById("step-" + chosen.get("step"));
  const names = chosen.getAll("program").filter(Boolean);
  const columns = document.createElement("div");
  columns.className = "columns";
  for (const name of names) {
    const column = document.createElement("div");
    const title = document.createElement("h4");
    title.textContent = name;
    const side = [...step.querySelectorAll(".side")].find((s) => s.dataset.program === name);
    const pieces = side ? [...side.children].slice(1).map((child) => child.cloneNode(true)) : [];
    column.append(title, ...(side ? pieces : ["This step is not in this file."]));
    columns.append(column);
  }
  const maths = step.querySelector(".maths").cloneNode(true);
  document.getElementById("sides-view").replaceChildren(step.querySelector("h3").cloneNode(true), maths, columns);
  document.getElementById("sides-says").textContent = `${step.querySelector("h3").textContent}: ${names.join(", ")}`;
  settle();
}
choice.addEventListener("change", showSides);
showSides();
settle();

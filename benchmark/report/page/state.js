// What is shown, and who is told when that changes; every other script of the page looks here.
"use strict";
const PB = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = Object.fromEntries(data.columns.map((name, index) => [name, index + 3]));
  const axes = {
    tokens_per_step: ["tokens per step", "generated tokens per step, padding behind the answer's end included"],
    content_tokens_per_step: ["content tokens per step", "tokens before an answer's first end token, per step"],
    tokens_per_forward_pass: ["tokens per forward pass", "generated tokens per state of the answer that went through the model"],
    num_forward_passes: ["forward passes", "forward passes of the model for one answer"],
    tokens_per_second: ["tokens per second", "tokens before an answer's end, by the clock of the machine that ran it; where settings shared forward passes, by shares of its time"],
  };
  const state = { axis: "tokens_per_step", models: new Set(), curves: new Set(), published: false, theme: "system" };

  // More lines than this in one plot are a tangle; the rest waits behind its box. Of each scheduler the longest blocks
  // stand for it, of those that have a mean if there are any.
  const MOST_LINES = 40;
  function firstChoice() {
    const averaged = new Set(data.means.map((row) => data.methods[row[2]].curve));
    const chosen = new Map();
    const rank = (index) => (averaged.has(index) ? 1e9 : 0) + Math.min(data.curves[index].block ?? 1e8, 1e8);
    data.curves.forEach(({ scheduler }, index) => {
      if (!chosen.has(scheduler) || rank(index) > rank(chosen.get(scheduler))) chosen.set(scheduler, index);
    });
    const curves = data.curves.length > MOST_LINES ? [...chosen.values()].slice(0, MOST_LINES) : [...data.curves.keys()];
    curves.forEach((index) => state.curves.add(index));
    const models = Math.max(1, Math.floor(MOST_LINES / Math.max(1, curves.length)));
    [...data.models.keys()].slice(0, models).forEach((index) => state.models.add(index));
  }
  firstChoice();

  function element(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in made) made[name] = value;
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  // Numbers as values, so that no name is ever looked for; -1 is `any`.
  function options(select, names, any) {
    select.replaceChildren(...(any ? [element("option", { value: "-1" }, any)] : []));
    names.forEach((name, index) => select.append(element("option", { value: String(index) }, name)));
  }

  const system = matchMedia("(prefers-color-scheme: dark)");
  const listeners = [];
  const changed = () => listeners.forEach((listener) => listener());
  system.addEventListener("change", changed);

  return {
    data, state, at, axes, element, options, changed,
    byId: (id) => document.getElementById(id),
    isDark: () => (state.theme === "system" ? system.matches : state.theme === "dark"),
    onChange: (listener) => listeners.push(listener),
    curveOf: (row) => data.methods[row[2]].curve,
    shown: (row) => state.models.has(row[0]) && state.curves.has(data.methods[row[2]].curve),
    number: (value, digits = 2) => (value === null || value === undefined ? "–" : value.toFixed(digits)),
  };
})();

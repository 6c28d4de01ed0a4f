// The page itself: boxes that switch things on and off, and plots that are drawn once they come into view.
"use strict";
(() => {
  const { data, state, at, element, byId } = PB;

  // Draws a place now if it can be seen, and else when it comes into view.
  const waiting = new Map();
  const watcher = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      target.seen = isIntersecting;
      if (isIntersecting && waiting.has(target)) {
        const paint = waiting.get(target);
        waiting.delete(target);
        paint();
      }
    }
  }, { rootMargin: "200px" });
  function later(place, paint) {
    if (place.seen === undefined) watcher.observe(place);
    if (place.seen) paint();
    else waiting.set(place, paint);
  }

  function box(parent, type, name, checked, label, react, picture) {
    const input = element("input", { type, name, checked });
    input.addEventListener("change", () => { react(input.checked); PB.changed(); });
    parent.append(element("label", {}, input, ...(picture ? [picture] : []), element("bdi", {}, label)));
    return input;
  }
  // `picture` makes the swatch of an index, anew when the colours change.
  function switches(parent, set, names, picture) {
    const put = (index, on) => (on ? set.add(index) : set.delete(index));
    const pictures = names.map((_, index) => picture(index));
    const inputs = names.map((name, index) =>
      box(parent, "checkbox", parent.id, set.has(index), name, (on) => put(index, on), pictures[index]));
    PB.onChange(() => pictures.forEach((old, index) => { pictures[index] = picture(index); old.replaceWith(pictures[index]); }));
    if (names.length < 3) return;
    for (const [label, on] of [["all", true], ["none", false]]) {
      const button = element("button", { type: "button" }, label);
      button.addEventListener("click", () => {
        inputs.forEach((input, index) => { input.checked = on; put(index, on); });
        PB.changed();
      });
      parent.append(button);
    }
  }

  function controls() {
    for (const [name, [label]] of Object.entries(PB.axes)) {
      const input = box(byId("axes"), "radio", "axis", name === state.axis, label, () => { state.axis = name; });
      input.value = name;
      input.disabled = !data.results.some((row) => row[at[name]] !== null);
      if (input.disabled) input.parentElement.title = "no model of this run says it";
    }
    switches(byId("models"), state.models, data.models.map((model) => model.name), (index) => PB.charts.swatch(null, data.models[index].dash));
    switches(byId("methods"), state.curves, data.curves.map((curve) => curve.name), (index) => PB.charts.swatch(data.curves[index]));
    byId("layers").hidden = !data.published.curves.length;
    box(byId("layers"), "checkbox", "published", state.published, "published curves", (on) => { state.published = on; });
  }

  function theme() {
    byId("theme").addEventListener("change", () => {
      state.theme = byId("theme").value;
      document.documentElement.style.colorScheme = state.theme === "system" ? "" : state.theme;
      PB.changed();
    });
  }

  function publishedLine(drawn) {
    if (state.axis !== "tokens_per_step") return "Published curves are known over tokens per step only.";
    return `${data.published.label}${drawn ? "." : "; there is no published mean over just these tasks."}`;
  }

  function tradeOffs() {
    const mean = PB.charts.tradeOff(-1, false), axis = PB.axes[state.axis];
    byId("axis-says").textContent = `x: ${axis[1]}.`;
    byId("drawn-says").textContent =
      `Drawn are ${mean.lines} lines with ${mean.points} points: ${state.models.size} of ${data.models.length} models and ${state.curves.size} of ${data.curves.length} curves are switched on.` +
      (mean.dropped ? ` Without a place on the axis, as they are at 0: ${mean.dropped}.` : "") +
      (data.means.length ? "" : " There is no mean until a method is done on every task.");
    byId("published-says").hidden = !state.published;
    byId("published-says").textContent = publishedLine(mean.published);
    later(byId("mean-plot"), () => PB.charts.draw(byId("mean-plot"), mean.spec, `Mean headline over ${axis[0]}`));
    data.tasks.forEach((task, index) => {
      const place = byId(`task-${index}`);
      later(place, () => PB.charts.draw(place, PB.charts.tradeOff(index, true).spec, `${task}: headline over ${axis[0]}`));
    });
  }

  function tasks() {
    byId("task-plots").append(...data.tasks.map((task, index) =>
      element("figure", {}, element("figcaption", {}, element("bdi", {}, task)), element("div", { className: "plot", id: `task-${index}` }))));
  }

  function forms() {
    const known = [...new Set(data.closed_forms.map((entry) => entry.task))];
    byId("dependency").hidden = !known.length;
    if (!known.length) return;
    PB.options(byId("form-task"), known.map((task) => data.tasks[task]));
    const places = new Map();
    const show = () => {
      const task = known[Number(byId("form-task").value)];
      const schedulers = [...new Set(data.closed_forms.filter((entry) => entry.task === task).map((entry) => entry.scheduler))];
      for (const name of schedulers) if (!places.has(name)) places.set(name, element("div", { className: "plot" }));
      byId("form-plots").replaceChildren(...schedulers.map((name) => places.get(name)));
      schedulers.forEach((name) => later(places.get(name), () =>
        PB.charts.draw(places.get(name), PB.charts.closedForm(name, task), `${data.tasks[task]}, ${name}: measured and closed form`)));
    };
    byId("form-task").addEventListener("change", show);
    PB.onChange(show);
    show();
  }

  // Settings by block length and k: one map for each model and scheduler that has several of both.
  function heatMaps() {
    const found = new Map();
    data.models.forEach((model, index) => data.methods.forEach((method, number) => {
      const curve = data.curves[method.curve];
      if (curve.parameter !== "k") return;
      const name = `${model.name}, ${curve.family}`;
      if (!found.has(name)) found.set(name, { name, model: index, methods: [] });
      found.get(name).methods.push(number);
    }));
    const several = (values) => new Set(values).size > 1;
    return [...found.values()].filter(({ methods }) =>
      several(methods.map((number) => data.methods[number].block)) && several(methods.map((number) => data.methods[number].value)));
  }

  function heat() {
    const maps = heatMaps();
    byId("heat-part").hidden = !maps.length;
    if (!maps.length) return;
    PB.options(byId("heat-of"), maps.map(({ name }) => name));
    PB.options(byId("heat-task"), data.tasks, "mean over tasks");
    const show = () => {
      const { model, methods } = maps[Number(byId("heat-of").value)], task = Number(byId("heat-task").value);
      const wanted = new Set(methods);
      const rows = (task < 0 ? data.means : data.results).filter((row) => row[0] === model && row[1] === task && wanted.has(row[2]));
      later(byId("heat-plot"), () => PB.charts.draw(byId("heat-plot"), PB.charts.heat(rows), "Headline by block length and k"));
    };
    byId("heat-of").addEventListener("change", show);
    byId("heat-task").addEventListener("change", show);
    PB.onChange(show);
    show();
  }

  function order() {
    byId("order").hidden = !data.steps.length;
    if (!data.steps.length) return;
    PB.options(byId("order-model"), data.models.map((model) => model.name));
    PB.options(byId("order-task"), data.tasks);
    const speeds = new Map(data.results.map((row) => [row.slice(0, 3).join(), row[at.tokens_per_step]]));
    const speed = (row) => speeds.get(row.slice(0, 3).join());
    const show = () => {
      const model = Number(byId("order-model").value), task = Number(byId("order-task").value);
      const mine = (row) => row[0] === model && row[1] === task && state.curves.has(PB.curveOf(row));
      const steps = data.steps.filter(mine).sort((one, other) => speed(one) - speed(other));
      byId("order-says").textContent = `${steps.length} methods are drawn, and the slowest of a curve stands out most; the boxes above switch curves on and off.`;
      later(byId("order-plot"), () => PB.charts.draw(byId("order-plot"), PB.charts.order(steps), "Mean step of each position"));
      const columns = { "τ": "kendall_tau_answer", "ρ": "spearman_rho_answer", "τ with padding": "kendall_tau", "ρ with padding": "spearman_rho" };
      const cell = (row, name) => element("td", { className: "n" }, PB.number(row[at[name]]));
      byId("order-table").replaceChildren(
        element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "method"),
          ...Object.keys(columns).map((head) => element("th", { scope: "col", className: "n" }, head)))),
        element("tbody", {}, ...data.results.filter((row) => mine(row) && row[at.kendall_tau] !== null).map((row) =>
          element("tr", {}, element("td", {}, element("bdi", {}, data.methods[row[2]].name)), ...Object.values(columns).map((name) => cell(row, name))))));
    };
    byId("order-model").addEventListener("change", show);
    byId("order-task").addEventListener("change", show);
    PB.onChange(show);
    show();
  }

  // The tables of all numbers are text, in which every name is escaped, until somebody opens them.
  function numbers() {
    document.querySelectorAll("details.numbers").forEach((part) => part.addEventListener("toggle", () => {
      const held = part.querySelector("noscript");
      if (held) held.outerHTML = held.textContent;
    }));
  }

  document.querySelectorAll(".scripted").forEach((part) => { part.hidden = false; });
  theme();
  if (window.vegaEmbed) {
    tasks();
    controls();
    tradeOffs();
    PB.onChange(tradeOffs);
    forms();
    heat();
  } else for (const id of ["controls", "curves", "tasks", "dependency", "heat-part", "order-plot", "order-says"]) byId(id).hidden = true;
  order();
  numbers();
  PB.samples.begin();
})();

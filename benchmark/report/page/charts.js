// The plots, as specifications of Vega-Lite made from the data and from what is switched on.
"use strict";
PB.charts = (() => {
  const { data, state, at } = PB;
  const colourOf = (curve) => (PB.isDark() ? curve.dark : curve.colour);
  const grey = () => (PB.isDark() ? "#8f8f8f" : "#8a8a8a");

  function theme() {
    const ink = PB.isDark() ? "#e6e6e6" : "#222222", line = PB.isDark() ? "#3a3a3a" : "#e4e4e4";
    const legend = { labelColor: ink, titleColor: ink, labelFontSize: 12, labelLimit: 300, layout: { bottom: { direction: "vertical", anchor: "start" } } };
    const axis = { labelColor: ink, titleColor: ink, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500 };
    return { background: "transparent", font: "system-ui, sans-serif", view: { stroke: line }, axis, legend, title: { color: ink, fontSize: 13 }, text: { color: ink } };
  }

  // A drawing takes a while; of several of one place, the last that was asked for stays, as `place.drawn`.
  async function draw(place, spec, description) {
    if (!window.vegaEmbed) return;
    place.drawn?.finalize();
    place.drawn = null;
    place.turn = (place.turn ?? 0) + 1;
    const turn = place.turn;
    if (!spec) return place.replaceChildren("Nothing to draw.");
    // The description becomes the plot's name for a screen reader.
    const full = { $schema: "https://vega.github.io/schema/vega-lite/v6.json", description, width: "container", autosize: { type: "fit", contains: "padding" }, ...spec };
    const drawn = await vegaEmbed(place, full, { actions: false, renderer: "canvas", config: theme(), tooltip: { theme: PB.isDark() ? "dark" : "light" } });
    if (turn === place.turn) place.drawn = drawn;
    else drawn.finalize();
  }

  const fields = (...names) => names.map((field) => ({ field }));
  const headline = (title, more = {}) => ({ field: "headline", type: "quantitative", scale: { domain: [0, 100] }, axis: { title, tickCount: 5 }, ...more });
  const logarithmic = (title, tickCount) => ({ field: "x", type: "quantitative", scale: { type: "log", base: 2, nice: false, padding: 8 }, axis: { title: title && `${title} (log scale)`, format: "~r", tickCount, labelOverlap: true } });
  const interval = (x, y, colour) => ({ mark: { type: "rule", opacity: 0.4 }, encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color: colour } });
  // A colour, dash or symbol for each index of a list, none of which has a legend: the boxes above are one.
  const nominal = (field, list, value) => ({ field, type: "nominal", scale: { domain: [...list.keys()], range: list.map(value) }, legend: null });
  const ofCurve = () => nominal("curve", data.curves, colourOf);
  const shapes = () => nominal("curve", data.curves, (curve) => curve.symbol);

  // What a tooltip says of a row of results or means.
  function told(row) {
    return {
      "model name": data.models[row[0]].name, method: data.methods[row[2]].name,
      headline: row[at.headline], low: row[at.low], high: row[at.high],
      "95 % interval": `[${PB.number(row[at.low], 1)}, ${PB.number(row[at.high], 1)}]`,
      "tokens per step": PB.number(row[at.tokens_per_step]), "content tokens per step": PB.number(row[at.content_tokens_per_step]),
      "forward passes": PB.number(row[at.num_forward_passes], 1), "tokens per second": PB.number(row[at.tokens_per_second], 1),
    };
  }
  const TOOLTIP = fields("model name", "method", "headline", "95 % interval", "tokens per step", "content tokens per step", "forward passes", "tokens per second");

  function published(task) {
    // The paper counts tokens per step and no other number.
    if (!state.published || state.axis !== "tokens_per_step") return [];
    const shown = new Set([...state.curves].map((index) => data.curves[index].scheduler));
    return data.published.curves
      .filter(([, of, scheduler]) => of === task && shown.has(scheduler))
      .flatMap(([model, , scheduler, line]) =>
        line.map(([x, y]) => ({ line: `${model} ${scheduler}`, x, headline: y, "model name": `${model} (published)`, method: scheduler, "±": "0.5 points" })));
  }

  // The curves of one task, or (-1) of the mean.
  function tradeOff(task, small) {
    const rows = (task < 0 ? data.means : data.results).filter((row) => row[1] === task && PB.shown(row) && row[at[state.axis]] !== null);
    // A logarithm has no place for zero, as answers without any content have it.
    const placed = rows.filter((row) => row[at[state.axis]] > 0);
    const mine = placed.map((row) => ({ line: `${row[0]} ${PB.curveOf(row)}`, curve: PB.curveOf(row), model: row[0], x: row[at[state.axis]], ...told(row) }));
    const theirs = published(task);
    const x = logarithmic(small ? null : PB.axes[state.axis][0], small ? 4 : 7), y = headline(small ? null : "headline (%)");
    const colour = ofCurve(), detail = { field: "line" }, order = { field: "x" };
    const strokeDash = nominal("model", data.models, (model) => model.dash);
    const layer = [];
    if (theirs.length) {
      layer.push({ data: { values: theirs }, mark: { type: "line", color: grey(), opacity: 0.55, strokeWidth: 1.2 }, encoding: { x, y, detail, order } });
      layer.push({ data: { values: theirs }, mark: { type: "point", color: grey(), size: 14, filled: true, opacity: 0.7 }, encoding: { x, y, tooltip: fields("model name", "method", "x", "headline", "±") } });
    }
    if (!small) layer.push({ data: { values: [80, 75, 70].map((score) => ({ headline: score })) }, mark: { type: "rule", strokeDash: [1, 4], color: grey() }, encoding: { y } });
    if (mine.length) layer.push({ data: { name: "mine", values: mine }, mark: { type: "line", strokeWidth: small ? 1.4 : 1.9 }, encoding: { x, y, color: colour, detail, order, strokeDash } });
    if (mine.length && !small) layer.push({ data: { name: "mine" }, ...interval(x, y, colour) });
    if (mine.length) layer.push({ data: { name: "mine" }, mark: { type: "point", filled: true, opacity: 1, size: small ? 34 : 70 }, encoding: { x, y, color: colour, tooltip: TOOLTIP, shape: shapes() } });
    return {
      spec: mine.length || theirs.length ? { layer, height: small ? 170 : 380 } : null,
      points: mine.length, dropped: rows.length - placed.length, lines: new Set(mine.map((point) => point.line)).size, published: theirs.length,
    };
  }

  // A lone path of a marker, for the boxes that switch curves on and off.
  const PATHS = {
    circle: "M-1,0A1,1 0 1 1 1,0A1,1 0 1 1 -1,0Z", square: "M-.9,-.9H.9V.9H-.9Z", diamond: "M0,-1.2L1.2,0L0,1.2L-1.2,0Z", cross: "M-.35,-1H.35V-.35H1V.35H.35V1H-.35V.35H-1V-.35H-.35Z",
    "triangle-down": "M-1,-.8H1L0,.9Z", "triangle-up": "M-1,.8H1L0,-.9Z", "triangle-right": "M-.8,-1V1L.9,0Z", "triangle-left": "M.8,-1V1L-.9,0Z",
  };

  function swatch(curve, dash) {
    const make = (name, attributes) => {
      const part = document.createElementNS("http://www.w3.org/2000/svg", name);
      Object.entries(attributes).forEach(([key, value]) => part.setAttribute(key, value));
      return part;
    };
    const svg = make("svg", { viewBox: "-3 -1.3 6 2.6", class: "swatch", "aria-hidden": "true" });
    const colour = curve ? colourOf(curve) : "currentColor";
    svg.append(make("path", { d: "M-3,0H3", stroke: colour, "stroke-width": ".3", "stroke-dasharray": (dash ?? []).map((step) => step / 7).join(" ") }));
    if (curve) svg.append(make("path", { d: PATHS[curve.symbol] ?? curve.symbol, fill: colour }));
    return svg;
  }

  // Models by colour and symbol, which have no pair in common until there are more than 36 of them.
  const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];
  const SHAPES = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross"];

  function closedForm(scheduler, task) {
    const threshold = scheduler === "threshold";
    const entries = data.closed_forms.filter((entry) => entry.task === task && entry.scheduler === scheduler);
    // Between stretches nothing is known, so that each is a line of its own.
    const values = entries.flatMap(({ greedy, stretches }) => stretches.flatMap((stretch, number) =>
      stretch.map(([parameter, x, score]) => ({ form: greedy ? "closed form, greedy" : "closed form, sampled", stretch: number, parameter, x, headline: score }))));
    const measured = data.results
      .filter((row) => row[1] === task && PB.curveOf(row) === entries[0].curve && state.models.has(row[0]))
      .map((row) => ({ x: threshold ? data.methods[row[2]].value : row[at.item_tokens_per_step], ...told(row) }))
      .filter((point) => point.x !== null && (threshold || point.x > 0));
    const x = threshold ? { field: "x", type: "quantitative", scale: { reverse: true, zero: false }, axis: { title: "threshold", tickCount: 5 } } : logarithmic("tokens of items per step", 5);
    const y = headline("headline (%)");
    const legend = { orient: "bottom", title: null, columns: 1, symbolOpacity: 1 };
    const models = [...data.models.keys()].filter((index) => state.models.has(index));
    const named = (range) => ({ field: "model name", type: "nominal", scale: { domain: models.map((index) => data.models[index].name), range: models.map(range) }, legend });
    const colour = named((index) => COLOURS[index % 6]);
    const line = PB.isDark() ? "#ffffff" : "#000000";
    return {
      title: scheduler, height: 260,
      layer: [
        { data: { name: "forms", values }, mark: { type: "line", color: line, strokeWidth: 1.4 }, encoding: { x, y, order: { field: "parameter" }, detail: { field: "stretch" }, strokeDash: { field: "form", type: "nominal", scale: { domain: ["closed form, sampled", "closed form, greedy"], range: [[], [6, 3]] }, legend } } },
        // A stretch of one point has no line.
        { data: { name: "forms" }, mark: { type: "point", filled: true, opacity: 1, color: line, size: threshold ? 3 : 16 }, encoding: { x, y } },
        ...(measured.length ? [
          { data: { name: "measured", values: measured }, ...interval(x, y, colour) },
          { data: { name: "measured" }, mark: { type: "point", filled: true, size: 55, opacity: 1 }, encoding: { x, y, color: colour, shape: named((index) => SHAPES[(index + Math.floor(index / 6)) % 6]), tooltip: TOOLTIP } },
        ] : []),
      ],
    };
  }

  function heat(rows) {
    if (!rows.length) return null;
    const values = rows.map((row) => {
      const { value, block } = data.methods[row[2]];
      return { k: value, length: block ?? Infinity, block: block === null ? "none named" : String(block), ...told(row) };
    });
    values.sort((one, other) => one.length - other.length);
    return {
      height: 60 + 34 * new Set(values.map(({ length }) => length)).size, data: { name: "cells", values },
      encoding: { x: { field: "k", type: "ordinal", title: "k, tokens per step", axis: { labelAngle: 0 } }, y: { field: "block", type: "ordinal", sort: null, title: "block length" } },
      layer: [
        { mark: "rect", encoding: { color: { field: "headline", type: "quantitative", scale: { domain: [0, 100], scheme: "cividis" }, legend: { title: "headline (%)" } }, tooltip: TOOLTIP } },
        { mark: { type: "text", fontSize: 12 }, encoding: { text: { field: "headline", type: "quantitative", format: ".1f" }, color: { condition: { test: "datum.headline > 55", value: "#111111" }, value: "#ffffff" } } },
      ],
    };
  }

  // Rows from slow to fast; of the methods of a curve, the slowest stands out most.
  function order(rows) {
    if (!rows.length) return null;
    const before = new Map();
    const values = rows.flatMap((row) => {
      const curve = PB.curveOf(row), rank = before.get(curve) ?? 0;
      before.set(curve, rank + 1);
      return row[3].map((step, place) => ({ position: place + 1, step, curve, rank: Math.min(1, rank / 4), method: data.methods[row[2]].name }));
    });
    return {
      height: 280, data: { name: "steps", values },
      mark: { type: "line", point: { size: 22 }, strokeWidth: 1.5 },
      encoding: {
        x: { field: "position", type: "quantitative", title: "position in the answer", scale: { nice: false, padding: 6 }, axis: { tickMinStep: 1, format: "d" } },
        y: { field: "step", type: "quantitative", title: "mean step" },
        detail: { field: "method" }, color: ofCurve(), shape: shapes(),
        opacity: { field: "rank", type: "quantitative", scale: { domain: [0, 1], range: [1, 0.3] }, legend: null },
        tooltip: fields("method", "position", "step"),
      },
    };
  }

  return { draw, tradeOff, swatch, closedForm, heat, order };
})();

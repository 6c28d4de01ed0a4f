// The list of samples: filters, pages, and one entry an answer. Whatever comes from a model is set as text.
"use strict";
PB.samples = (() => {
  const { data, element, byId } = PB;
  const PAGE = 10;
  const FILTERS = ["model", "task", "method"];
  let page = 0;

  function chosen() {
    const wanted = FILTERS.map((name) => Number(byId(`sample-${name}`).value));
    const groups = data.samples.filter((group) => FILTERS.every((name, index) => wanted[index] < 0 || group[name] === wanted[index]));
    const entries = groups.flatMap((group) => group.shown.map((sample) => ({ group, sample })));
    const score = ({ sample }) => ("error" in sample ? -1 : sample.headline);
    entries.sort((one, other) => score(one) - score(other));
    return { entries, all: groups.reduce((sum, group) => sum + group.of, 0) };
  }

  const text = (title, content) => [element("dt", {}, title), element("dd", {}, element("pre", { dir: "auto" }, content))];

  function entry({ group, sample }) {
    const failed = "error" in sample;
    const head = element("p", { className: "head" },
      element("strong", { className: "score" }, failed ? "failed" : `${PB.number(sample.headline, 1)} %`), " ",
      element("bdi", {}, data.tasks[group.task]), " · ", element("bdi", {}, data.methods[group.method].name), " · ",
      element("bdi", {}, data.models[group.model].name), " · ", element("bdi", {}, sample.id), `, seed ${sample.seed}`);
    const item = element("li", {}, head);
    if (sample.steps) item.append(PB.player.make(sample));
    const parts = element("dl");
    if (failed) parts.append(...text("why there is no answer", sample.error));
    else {
      const cut = sample.cut ? ` … ${sample.cut} more letters are not shown` : "";
      parts.append(...text("answer", sample.answer + cut));
      if (sample.expected !== undefined) parts.append(...text("expected, or as good", sample.expected));
      else parts.append(element("dt", {}, "expected"), element("dd", { className: "small" }, "the question is not one of the benchmark's own, and is not kept with a run"));
    }
    item.append(parts);
    if (sample.question !== undefined) {
      item.append(element("details", {}, element("summary", {}, "question"), element("pre", { dir: "auto" }, sample.question)));
    }
    return item;
  }

  function show() {
    const { entries, all } = chosen();
    const pages = Math.max(1, Math.ceil(entries.length / PAGE));
    page = Math.min(page, pages - 1);
    const first = page * PAGE, behind = Math.min(entries.length, first + PAGE);
    byId("samples-say").textContent = entries.length
      ? `${entries.length} of ${all} answers are in this page, the worst of each setting; ${first + 1} to ${behind} are shown.`
      : `0 of ${all} answers are in this page.`;
    byId("sample-list").replaceChildren(...entries.slice(first, behind).map(entry));
    byId("sample-list").start = first + 1;
    byId("sample-before").disabled = page === 0;
    byId("sample-next").disabled = page >= pages - 1;
  }

  function turn(by) {
    page += by;
    show();
    // A page is longer than a screen: its beginning is what is read next.
    byId("samples-say").scrollIntoView();
  }

  function begin() {
    PB.options(byId("sample-model"), data.models.map((model) => model.name), "all models");
    PB.options(byId("sample-task"), data.tasks, "all tasks");
    PB.options(byId("sample-method"), data.methods.map((method) => method.name), "all methods");
    for (const name of FILTERS) byId(`sample-${name}`).addEventListener("change", () => { page = 0; show(); });
    byId("sample-before").addEventListener("click", () => turn(-1));
    byId("sample-next").addEventListener("click", () => turn(1));
    show();
  }
  return { begin };
})();

// An answer in colours by the step of each token, and the player that goes through its steps.
"use strict";
PB.player = (() => {
  const { element } = PB;
  const MASK = "░", BEHIND = "·", PAUSE = 400;
  const shown = (text) => (text.replace(/^ +| +$/g, "").replaceAll("\n", "⏎") || "␣");

  function cellsOf(sample, last) {
    return sample.steps.map((step, place) => {
      const text = place < sample.tokens.length ? shown(sample.tokens[place]) : BEHIND;
      const when = step ? `step ${step}` : "never committed";
      const cell = element("span", { className: "token", title: `position ${place + 1}, ${when}` });
      // The stylesheet makes a colour of it, of either theme.
      cell.style.setProperty("--share", `${last < 2 ? 0 : Math.round((100 * Math.max(0, step - 1)) / (last - 1))}%`);
      return { cell, step, text };
    });
  }

  function make(sample) {
    // Steps in which nothing was committed for good have no moment of their own; 0 is what was never committed.
    const moments = [0, ...new Set(sample.steps.filter((step) => step > 0))].sort((a, b) => a - b);
    const end = moments.length - 1, last = Math.max(moments[end], sample.rounds ?? 0);
    const cells = cellsOf(sample, moments[end]);
    const says = element("output", { className: "says" });
    const slider = element("input", { type: "range", min: "0", max: String(end), value: String(end), "aria-label": "step" });
    const play = element("button", { type: "button" }, "Play");
    let timer = null;

    function show() {
      const now = moments[Number(slider.value)];
      let committed = 0, open = 0;
      for (const { cell, step, text } of cells) {
        const hidden = step > now, fresh = step === now && step > 0;
        cell.textContent = hidden ? MASK : text;
        cell.className = `token${hidden ? " masked" : ""}${fresh ? " fresh" : ""}`;
        committed += fresh;
        open += hidden;
      }
      says.textContent = now ? `step ${now} of ${last}: ${committed} committed, ${open} still open` : `before step 1: ${open} open`;
      slider.setAttribute("aria-valuetext", says.textContent);
    }
    function stop() {
      clearInterval(timer);
      timer = null;
      play.textContent = "Play";
    }
    function move(by) {
      slider.value = String(Number(slider.value) + by);
      show();
    }
    play.addEventListener("click", () => {
      if (timer !== null) return stop();
      if (Number(slider.value) >= end) move(-end);
      play.textContent = "Stop";
      timer = setInterval(() => {
        // Another page of samples has taken its place.
        if (!box.isConnected) return stop();
        move(1);
        if (Number(slider.value) >= end) stop();
      }, PAUSE);
    });
    slider.addEventListener("input", () => { stop(); show(); });

    const box = element("div", { className: "player", tabIndex: 0, role: "group", "aria-label": "steps of this answer; space plays, the arrow keys go one step, Home and End to the ends" });
    const by = { ArrowRight: 1, ArrowLeft: -1, Home: -end, End: end };
    box.addEventListener("keydown", (event) => {
      // The slider and the button have keys of their own, and others belong to the browser.
      if (event.target !== box || event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key === " ") play.click();
      else if (event.key in by) { stop(); move(by[event.key]); }
      else return;
      event.preventDefault();
    });
    box.append(
      element("div", { className: "keys" }, play, slider, says),
      element("div", { className: "tokens", dir: "ltr" }, ...cells.map(({ cell }) => cell)));
    const notes = [];
    if (sample.passes > sample.rounds) notes.push(`its ${sample.rounds} steps took ${sample.passes} forward passes, drafts included`);
    if (sample.cut_tokens) notes.push(`${sample.cut_tokens} more positions are not shown`);
    if (notes.length) box.append(element("p", { className: "small" }, `${notes.join("; ")}.`));
    show();
    return box;
  }
  return { make };
})();

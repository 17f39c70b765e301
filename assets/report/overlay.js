"use strict";
// Chosen runs drawn over each other, from the numbers below the figures. The page is complete without it.
(() => {
  const figure = document.getElementById("learning_curves") || document.getElementById("losses");
  const series = {};
  const read = (id, name, pick) => {
    const table = document.querySelector(`#${id} details table`);
    if (!table) return;
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells].map((cell) => cell.textContent.trim());
    const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => parseFloat(cell.textContent.replace("−", "-"))));
    const found = {};
    heads.forEach((head, column) => {
      const run = column && pick(head);
      if (!run) return;
      const points = rows.map((row) => [row[0], row[column]]).filter((point) => point.every(Number.isFinite));
      if (points.length > 1) found[run] = points;
    });
    if (Object.keys(found).length > 1) series[name] = found;
  };
  const ending = (end) => (head) => head.endsWith(end) ? head.slice(0, -end.length) : "";
  const title = document.querySelector("#learning_curves h3");
  read("learning_curves", title ? title.textContent.replace(" by epoch", "").toLowerCase() : "", (head) => head);
  read("losses", "validation loss", ending(" valid."));
  read("losses", "training loss", ending(" train"));
  const measures = Object.keys(series);
  if (!figure || !measures.length) return;

  const space = figure.querySelector("svg").namespaceURI;
  const make = (name, attributes, text) => {
    const svg = ["svg", "g", "path", "text", "line", "circle"].includes(name);
    const element = svg ? document.createElementNS(space, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
    if (text) element.textContent = text;
    return element;
  };
  const inks = ["--blue", "--orange", "--green", "--purple", "--slate"];
  const dashes = ["", "7 4", "2 3", "10 3 2 3"];
  const box = make("figure", { id: "overlay" });
  const choice = make("fieldset");
  const what = make("select", { "aria-label": "What to overlay" });
  measures.forEach((name) => what.append(make("option", {}, name)));
  const runs = [...new Set(measures.flatMap((name) => Object.keys(series[name])))];
  const drawing = make("div", { class: "drawings one" });
  choice.append(make("legend", {}, "Runs to overlay"));
  runs.forEach((run, index) => {
    const label = make("label");
    const tick = make("input", { type: "checkbox", value: run });
    tick.checked = index < 2;
    label.append(tick, " " + run);
    choice.append(label);
  });
  const draw = () => {
    const chosen = [...choice.querySelectorAll("input:checked")].map((tick) => tick.value);
    const shown = chosen.filter((run) => series[what.value][run]);
    const points = shown.flatMap((run) => series[what.value][run]);
    drawing.replaceChildren();
    if (!points.length) return;
    const [width, height, left, right, top, bottom] = [700, 300, 48, 70, 14, 34];
    const lowest = Math.min(...points.map((point) => point[1]));
    const highest = Math.max(...points.map((point) => point[1]));
    const spread = highest - lowest || 1;
    const last = Math.max(...points.map((point) => point[0]));
    const x = (epoch) => left + (epoch / last) * (width - left - right);
    const y = (value) => top + ((highest - value) / spread) * (height - top - bottom);
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `${what.value} of runs ${shown.join(", ")} by epoch` });
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      const value = lowest + share * spread;
      svg.append(make("line", { x1: left, x2: width - right, y1: y(value), y2: y(value), stroke: "var(--grid)" }));
      svg.append(make("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end", "font-size": 12, fill: "var(--muted)" }, value.toFixed(3)));
    }
    const every = Math.ceil(last / 10);
    for (let epoch = 0; epoch <= last; epoch += every) svg.append(make("text", { x: x(epoch), y: height - 14, "text-anchor": "middle", "font-size": 12, fill: "var(--muted)" }, String(epoch)));
    // Labels at the ends of lines are moved apart.
    const ends = shown.map((run) => ({ run, at: y(series[what.value][run].at(-1)[1]) })).sort((a, b) => a.at - b.at);
    ends.forEach((end, index) => { if (index) end.at = Math.max(end.at, ends[index - 1].at + 14); });
    shown.forEach((run) => {
      const index = runs.indexOf(run);
      const ink = `var(${inks[index % inks.length]})`;
      const line = series[what.value][run];
      const path = line.map(([epoch, value], place) => `${place ? "L" : "M"}${x(epoch).toFixed(1)} ${y(value).toFixed(1)}`).join("");
      svg.append(make("path", { d: path, fill: "none", stroke: ink, "stroke-width": 2, "stroke-dasharray": dashes[Math.floor(index / inks.length + index) % dashes.length] }));
      const end = ends.find((item) => item.run === run);
      svg.append(make("text", { x: x(line.at(-1)[0]) + 6, y: end.at + 4, "font-size": 12, "font-weight": 600, fill: ink }, run));
    });
    drawing.append(svg);
  };
  const head = make("h3", {}, "Overlay of chosen runs");
  const which = make("p");
  which.append(what);
  box.append(head, which, choice, drawing, make("figcaption", {}, "The numbers of the figures above and below, of the runs that you choose, by epoch; the scale fits what is shown."));
  figure.after(box);
  box.addEventListener("change", draw);
  draw();
})();

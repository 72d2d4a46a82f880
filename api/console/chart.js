// Draws line charts over time in SVG, with thresholds, a legend, and one crosshair for all charts.

import { el, svg } from "./dom.js";
import { finite, GIB, MIB, number, time } from "./format.js";

const LEFT = 58;
const RIGHT = 8;
const TOP = 10;
const BOTTOM = 20;
const STEPS_S = [10, 30, 60, 120, 300, 600, 1800, 3600, 21600, 86400];
const charts = new Set();
let frame = 0;
const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) charts.forEach((chart) => chart.element === target && chart.draw());
});

/**
 * A chart. Each of `series` and `thresholds` has a `name`, a `colour` (a CSS class), and a `value`,
 * a function of a point. `rare` in a series: the chart shows it only if it is not 0. Options:
 * `stacked` adds the series up, `alarm` tells from the last point whether its values are bad.
 */
export class Chart {
  constructor(host, { title, note = "", series, thresholds = [], ...options }) {
    Object.assign(this, { title, series, thresholds, points: [], chosen: null });
    Object.assign(this, { format: number, height: 150, stacked: false, least: 0, ...options });
    this.clock = el("span", { className: "clock" });
    this.legend = el("ul", { className: "legend" });
    this.plot = svg("svg", { role: "img", tabindex: "0", height: this.height });
    const heading = el("h3", {}, title, this.clock);
    this.element = el("div", { className: "panel chart" }, heading, this.legend, this.plot);
    if (note) heading.after(el("p", { className: "quiet note" }, note));
    this.values = series.map(({ name, colour }) => {
      const value = el("span", { className: "figure" });
      const swatch = el("span", { className: `swatch ${colour}` });
      this.legend.append(el("li", {}, swatch, `${name} `, value));
      return value;
    });
    this.limits = thresholds.map(({ name, colour }) => {
      const value = el("span", { className: "figure" });
      const swatch = el("span", { className: `swatch dashed ${colour}` });
      this.legend.append(el("li", {}, swatch, `${name} `, value));
      return value;
    });
    host.append(this.element);
    charts.add(this);
    resized.observe(this.element);
    this.plot.addEventListener("pointermove", (event) => this.#onPointerMove(event));
    this.plot.addEventListener("pointerleave", () => choose(null));
    this.plot.addEventListener("blur", () => choose(null));
    this.plot.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** Draws `points`, the oldest first, each with its Unix time `at`. */
  update(points) {
    this.points = points;
    this.draw();
  }

  draw() {
    const width = this.plot.clientWidth;
    if (!width) return;
    this.width = width;
    const raw = this.points.map((point) => this.series.map(({ value }) => finite(value(point))));
    const rows = this.stacked ? raw.map(stack) : raw;
    const last = this.points.at(-1) ?? {};
    const limits = this.thresholds.map(({ value }) => latest(this.points.map(value)));
    const shown = this.series.map(({ rare }, i) => raw.some((row) => (rare ? row[i] > 0 : row[i] !== null)));
    this.#scale(rows, limits);
    this.plot.replaceChildren(
      ...(shown.some(Boolean) ? [...this.#grid(), ...this.#lines(raw, rows, shown)] : [this.#empty()]),
      ...this.#limits(limits, shown.some(Boolean)),
    );
    this.element.classList.toggle("warning", Boolean(this.alarm?.(last)));
    this.#showValues(raw, rows, shown);
  }

  #scale(rows, limits) {
    const times = this.points.map(({ at }) => at);
    this.last = times.at(-1) ?? 0;
    this.first = Math.min(times[0] ?? 0, this.last - 60);
    const gaps = times.slice(1).map((at, i) => at - times[i]).sort((a, b) => a - b);
    this.longest = 3.5 * (gaps[gaps.length >> 1] ?? 0); // seconds; no line connects points that are further apart
    const seen = [...rows.flat(), ...limits.map((limit) => limit * 1.08), this.least];
    const top = seen.reduce((max, value) => Math.max(max, value ?? 0), 0) || 1;
    const unit = this.binary ? (top >= GIB ? GIB : MIB) : 1;
    this.step = roundStep(top / unit / 3) * unit;
    if (this.whole) this.step = Math.max(1, this.step);
    this.top = Math.ceil(top / this.step - 1e-9) * this.step;
  }

  #x = (at) => LEFT + ((at - this.first) / (this.last - this.first)) * (this.width - LEFT - RIGHT);

  #y = (value) => this.height - BOTTOM - (value / this.top) * (this.height - TOP - BOTTOM);

  #grid() {
    const parts = [];
    for (let value = 0; value <= this.top * 1.001; value += this.step) {
      const y = this.#y(value);
      parts.push(
        svg("line", { class: value ? "grid-line" : "axis", x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y }),
        svg("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, this.format(value)),
      );
    }
    const room = this.width - LEFT - RIGHT;
    const span = this.last - this.first;
    const step = STEPS_S.find((gap) => (span / gap) * (gap < 60 ? 70 : 46) <= room) ?? span;
    for (let at = Math.ceil(this.first / step) * step; at <= this.last; at += step) {
      const [x, y] = [this.#x(at), this.height - BOTTOM];
      const label = time(at).slice(0, step < 60 ? 8 : 5);
      const anchor = x > this.width - 30 ? "end" : "middle";
      parts.push(
        svg("line", { class: "axis", x1: x, x2: x, y1: y, y2: y + 3 }),
        svg("text", { x: anchor === "end" ? this.width - RIGHT : x, y: y + 15, "text-anchor": anchor }, label),
      );
    }
    return parts;
  }

  #lines(raw, rows, shown) {
    const drawn = this.series.map(({ colour }, i) => {
      if (!shown[i]) return [];
      const runs = this.#runs(raw, i);
      const line = runs.map((run) => this.#path(run, (at) => rows[at][i])).join("");
      const parts = [svg("path", { class: `line ${colour}`, d: line })];
      if (this.stacked) {
        const below = (at) => (rows[at].slice(0, i).findLast((value) => value !== null) ?? 0);
        const area = runs.map((run) => {
          const back = this.#path([...run].reverse(), below);
          return `${this.#path(run, (at) => rows[at][i])}${back.replace("M", "L")}Z`;
        });
        parts.unshift(svg("path", { class: `area ${colour}`, d: area.join("") }));
      }
      return parts;
    });
    return drawn.reverse().flat();
  }

  /** Returns the indices of the points that a line may connect, run by run. */
  #runs(raw, i) {
    const runs = [];
    let before = -Infinity;
    this.points.forEach(({ at }, index) => {
      if (raw[index][i] === null) return (before = -Infinity);
      if (at - before > this.longest) runs.push([]);
      runs.at(-1).push(index);
      return (before = at);
    });
    return runs;
  }

  #path(run, value) {
    const coordinates = run.map((i) => `${this.#x(this.points[i].at).toFixed(1)} ${this.#y(value(i)).toFixed(1)}`);
    return `M${coordinates.join("L")}${run.length === 1 ? "h.01" : ""}`; // a single point is a dot
  }

  #limits(limits, drawn) {
    return limits.flatMap((limit, i) => {
      this.limits[i].textContent = this.format(limit);
      this.limits[i].parentElement.hidden = limit === null;
      if (limit === null || !drawn) return [];
      const [y, { colour }] = [this.#y(limit), this.thresholds[i]];
      return [svg("line", { class: `limit ${colour}`, x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y })];
    });
  }

  #empty() {
    const middle = { x: (LEFT + this.width) / 2, y: (this.height - BOTTOM + TOP) / 2 };
    return svg("text", { ...middle, "text-anchor": "middle", class: "empty" }, "no data");
  }

  /** Writes the values at the crosshair, or the last values, into the legend. */
  #showValues(raw, rows, shown) {
    const index = this.chosen === null ? this.points.length - 1 : nearest(this.points, this.chosen);
    const point = this.points[index];
    this.values.forEach((value, i) => {
      value.textContent = this.format(raw[index]?.[i] ?? null);
      value.parentElement.hidden = Boolean(this.series[i].rare) && !shown[i];
    });
    const words = this.series
      .map(({ name }, i) => `${name} ${this.values[i].textContent}`)
      .filter((_, i) => shown[i]);
    const when = point ? ` at ${time(point.at)}` : "";
    this.plot.setAttribute("aria-label", `${this.title}${when}: ${words.join(", ") || "no data"}`);
    this.clock.textContent = point && this.chosen !== null ? time(point.at) : "";
    if (!point || this.chosen === null) return;
    const x = this.#x(point.at);
    this.plot.append(svg("line", { class: "crosshair", x1: x, x2: x, y1: TOP, y2: this.height - BOTTOM }));
    this.series.forEach(({ colour }, i) => {
      if (!shown[i] || raw[index][i] === null) return;
      this.plot.append(svg("circle", { class: colour, cx: x, cy: this.#y(rows[index][i]), r: 3 }));
    });
  }

  #onPointerMove({ clientX }) {
    const x = clientX - this.plot.getBoundingClientRect().left;
    const share = (x - LEFT) / (this.width - LEFT - RIGHT);
    if (this.points.length) choose(this.first + share * (this.last - this.first));
  }

  #onKey(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (!by || !this.points.length) return;
    event.preventDefault();
    const last = this.points.length - 1;
    const index = this.chosen === null ? last : nearest(this.points, this.chosen);
    choose(this.points[Math.min(last, Math.max(0, index + by))].at);
  }
}

/** Moves the crosshair of all charts to a Unix time; null removes it. */
function choose(at) {
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(() => {
    for (const chart of charts) {
      chart.chosen = at;
      chart.draw();
    }
  });
}

function nearest(points, at) {
  const distances = points.map((point) => Math.abs(point.at - at));
  return distances.indexOf(Math.min(...distances));
}

/** Returns the least of 1, 2 or 5 times a power of ten that is at least `size`. */
function roundStep(size) {
  const power = 10 ** Math.floor(Math.log10(size));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= size * 0.999);
}

function latest(values) {
  return finite(values.findLast((value) => finite(value) !== null));
}

function stack(row) {
  let sum = 0;
  return row.map((value) => (value === null ? null : (sum += value)));
}

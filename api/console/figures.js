// Polls the figures every two seconds, and shows them as tiles and charts.

import { onLocked, request } from "./api_client.js";
import { Chart } from "./chart.js";
import { byId, el } from "./dom.js";
import { bytes, duration, finite, milliseconds, number, percent, plural } from "./format.js";

/** Milliseconds between two polls. */
const POLL_MS = 2000;
/** Points that the charts show, and that the API keeps: ten minutes. */
const ALL_POINTS = 300;
/** Points that a poll asks for when the page has the earlier ones. */
const NEW_POINTS = 10;
/** P95 latency that Byline promises, in milliseconds. */
const P95_LIMIT_MS = 55;
/** Ways in which messages get an attribution. */
const ANSWERED = ["computed", "cached", "joined"];
/** Ways in which messages get none. */
const REFUSED = ["failed", "shed", "expired"];
/** For each signal: its title, the bad side of its threshold, and an explanation. */
const SIGNALS = {
  accuracy: ["Accuracy", "below", "Share right among messages whose author was reported."],
  estimated_accuracy: [
    "Estimated accuracy",
    "below",
    "Mean calibrated confidence: estimates accuracy without labels.",
  ],
  abstention: ["Abstention", "above", "Share of messages for which no author is named."],
  author_drift: [
    "Author drift",
    "above",
    "Jensen-Shannon divergence of the authors of the last minutes from those of the held-out messages.",
  ],
  confidence_drift: ["Confidence drift", "above", "The same divergence, of the confidences."],
  unseen: ["Unseen features", "above", "Share of text features never seen in training."],
};

const sum = (values) => values.reduce((total, value) => total + (finite(value) ?? 0), 0);
const rates = (point, names) => names.map((name) => point.messages_per_s?.[name]);
const total = (values) => (values.some((value) => finite(value) !== null) ? sum(values) : null);
const answered = (point) => total(rates(point, ANSWERED));
const hits = (point) =>
  answered(point) ? (finite(point.messages_per_s.cached) ?? 0) / answered(point) : null;
const used = (point) => total(Object.values(point.memory?.components ?? {}));

const rate = (name, colour, rare) => ({ name, colour, rare, value: (p) => p.messages_per_s?.[name] });
const part = (name, component, colour, rare) => {
  return { name, colour, rare, value: (p) => p.memory?.components?.[component] };
};
const CHARTS = [
  {
    title: "Throughput, messages/s",
    stacked: true,
    series: [
      ...[rate("computed", "blue"), rate("cached", "green"), rate("joined", "violet", true)],
      ...[rate("failed", "red", true), rate("shed", "amber", true), rate("expired", "grey", true)],
    ],
  },
  {
    title: "Latency",
    format: milliseconds,
    series: [
      { name: "P95", colour: "blue", value: (p) => p.p95_ms },
      { name: "P50", colour: "green", value: (p) => p.p50_ms },
    ],
    thresholds: [{ name: "P95 at most", colour: "red", value: () => P95_LIMIT_MS }],
  },
  {
    title: "Messages in a batch",
    series: [{ name: "mean", colour: "blue", value: (p) => p.batch_messages }],
  },
  {
    title: "Cache hits",
    format: percent,
    least: 1,
    series: [{ name: "of messages answered", colour: "green", value: hits }],
  },
  {
    title: "Queue, messages",
    stacked: true,
    whole: true,
    series: [
      { name: "taken by a worker", colour: "blue", value: (p) => p.queue?.unacked },
      { name: "waiting", colour: "amber", value: (p) => p.queue?.ready },
    ],
  },
  {
    title: "Memory",
    format: bytes,
    binary: true,
    stacked: true,
    series: [
      ...[part("processes", "app", "blue"), part("Redis", "redis", "green")],
      ...[part("Metal", "mps", "violet", true), part("CUDA", "cuda", "violet", true)],
    ],
    thresholds: [
      { name: "warning", colour: "amber", value: (p) => p.memory?.limits?.warning },
      { name: "critical", colour: "red", value: (p) => p.memory?.limits?.critical },
    ],
  },
];

/** For each tile: its value, the value's format, a note, and a tone: "", "warning" or "bad". */
const TILES = {
  "Messages/s": (p) => {
    const refused = sum(rates(p, REFUSED));
    if (refused) return [answered(p), number, `and ${number(refused)}/s not answered`, "bad"];
    return [answered(p), number, "answered", ""];
  },
  P95: (p) => {
    if (p.p95_ms > P95_LIMIT_MS) return [p.p95_ms, milliseconds, `above ${P95_LIMIT_MS} ms`, "bad"];
    return [p.p95_ms, milliseconds, `P50 ${milliseconds(p.p50_ms)}`, ""];
  },
  "Cache hits": (p) => [hits(p), percent, "of messages answered", ""],
  "Queue age": ({ queue }) => {
    const waiting = `${number(queue?.ready)} waiting, ${number(queue?.unacked)} taken`;
    if (queue?.ready === 0 && finite(queue.oldest_s) === null) return ["empty", String, waiting, ""];
    return [queue?.oldest_s, duration, waiting, ""];
  },
  Memory: (p) => {
    const { limits, level } = p.memory ?? {};
    const tone = { ok: "", warning: "warning", critical: "bad" }[level] ?? "";
    return [used(p), bytes, `of ${bytes(limits?.critical)}${level ? `, ${level}` : ""}`, tone];
  },
  Quality: ({ quality }) => {
    const signals = Object.entries(quality?.signals ?? {});
    const past = signals.filter(([, signal]) => signal.past).map(([name]) => SIGNALS[name]?.[0] ?? name);
    const text = past.length ? past.join(", ") : signals.length ? "as trained" : "not enough messages yet";
    const note = past.length ? "past the threshold" : quality ? plural(quality.messages, "message") : "";
    return [quality ? text : null, String, note, past.length ? "warning" : ""];
  },
};

let points = [];
let reload = true; // the next poll asks for all points
let polling = false;
let timer = 0;
let locked = false;
let onFigures = () => {};
const views = [];

/** Starts polling. `callback` gets each response, for its alerts and links. */
export function start(callback) {
  onFigures = callback;
  for (const name of Object.keys(TILES)) byId("tiles").append(tile(name));
  for (const chart of CHARTS) views.push(new Chart(byId("charts"), chart));
  for (const [name, [title, side, note]] of Object.entries(SIGNALS)) {
    const signal = (p) => p.quality?.signals?.[name];
    const series = [{ name: "now", colour: "blue", value: (p) => signal(p)?.value }];
    const thresholds = [{ name: `bad ${side}`, colour: "red", value: (p) => signal(p)?.threshold }];
    const options = { title, note, series, thresholds, format: percent, height: 110, alarm: (p) => signal(p)?.past };
    views.push(new Chart(byId("signals"), options));
  }
  onLocked(() => (locked = true));
  document.addEventListener("visibilitychange", () => {
    reload = true; // a hidden page does not poll
    if (!locked) poll();
  });
  poll();
}

/** Polls now and every two seconds, unless the page is hidden or the API key is missing. */
export async function poll() {
  clearTimeout(timer);
  if (polling || document.hidden) return;
  polling = true;
  locked = false;
  try {
    const response = await request(`/v1/figures?points=${reload ? ALL_POINTS : NEW_POINTS}`);
    merge(response.points ?? []);
    reload = false;
    show(points.length ? "" : "No figures yet: the first will be here in a few seconds.");
    onFigures(response);
  } catch (problem) {
    reload = true;
    const again = problem.status === 401 ? "" : " Trying again.";
    show(`No new figures. ${problem.text ?? problem}${again}`);
    onFigures({ alerts: null });
  }
  polling = false;
  if (!locked) timer = setTimeout(poll, POLL_MS);
}

function merge(received) {
  const after = reload ? -Infinity : points.at(-1)?.at ?? -Infinity;
  const fresh = received.filter(({ at }) => at > after);
  points = [...(reload ? [] : points), ...fresh].slice(-ALL_POINTS);
}

function show(trouble) {
  const state = byId("figures-state");
  if (state.textContent !== trouble) state.textContent = trouble;
  state.hidden = !trouble;
  document.body.classList.toggle("stale", Boolean(trouble));
  const last = points.at(-1) ?? {};
  [...byId("tiles").children].forEach((element, i) => fill(element, Object.values(TILES)[i](last)));
  const { quality } = last;
  const messages = plural(quality?.messages, "message");
  const labels = plural(quality?.labels, "label");
  byId("quality-note").textContent = quality
    ? `${quality.version}: ${messages} and ${labels} in the last minutes.`
    : "";
  for (const view of views) view.update(points);
}

function tile(name) {
  const note = el("dd", { className: "quiet" });
  return el("div", { className: "panel tile" }, el("dt", {}, name), el("dd"), note);
}

function fill(element, [value, format, note, tone]) {
  const known = typeof value === "string" || finite(value) !== null;
  const [, main, small] = element.children;
  main.textContent = known ? format(value) : "no data";
  small.textContent = known ? note : "";
  element.className = `panel tile ${known ? tone : "none"} ${typeof value === "string" ? "words" : ""}`;
}

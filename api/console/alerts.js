// What Alertmanager says is wrong, the worst first.

import { byId, el } from "./dom.js";
import { date, plural } from "./format.js";

const TONES = { critical: "bad", warning: "warning" };
let shown = "";

/** Show the alerts of `/v1/figures`, null being no word of Alertmanager; `runs`: is it started here? */
export function show(alerts, runs) {
  const now = JSON.stringify([alerts, runs]);
  if (now === shown) return; // so that what is read aloud, or selected, stays
  shown = now;
  const firing = alerts?.firing ?? [];
  byId("alerts").hidden = !alerts && !runs;
  const state = byId("alerts-state");
  state.className = !alerts ? "quiet" : firing.length ? "bad" : "good";
  state.lastElementChild.textContent = alerts
    ? firing.length ? `${plural(firing.length, "alert")} firing` : "none is firing"
    : "no word from Alertmanager";
  byId("alerts-firing").replaceChildren(...firing.map(item));
}

function item({ name, severity, summary, description, since, runbook }) {
  const at = new Date(since);
  const start = Number.isNaN(at.valueOf()) ? "" : `, since ${date(at)}`;
  return el(
    "li",
    { className: `panel alert ${TONES[severity] ?? ""}` },
    el("h3", {}, summary || name),
    el("p", {}, description),
    el("p", { className: "quiet" }, `${name}, ${severity}${start}${runbook ? ". What to do: " : ""}`, el("code", {}, runbook.replace(/^\//, ""))),
  );
}

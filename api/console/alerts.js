// Shows the firing alerts, the most severe first.

import { byId, el } from "./dom.js";
import { date, plural } from "./format.js";

const TONES = { critical: "bad", warning: "warning" };
let shown = "";

/**
 * Shows the alerts of `/v1/figures`; null if Alertmanager does not respond. `expected` says whether
 * Alertmanager is configured: if not, the section is hidden.
 */
export function show(alerts, expected) {
  const now = JSON.stringify([alerts, expected]);
  if (now === shown) return; // keeps a selection, and what a screen reader is reading
  shown = now;
  const firing = alerts?.firing ?? [];
  byId("alerts").hidden = !alerts && !expected;
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

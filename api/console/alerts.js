// Shows the firing alerts, the most severe first.

import { byId, el } from "./dom.js";
import { date, plural } from "./format.js";

const TONES = { critical: "bad", warning: "warning" };
let shown = "";

/**
 * Shows the alerts of `/v1/figures`; null if Alertmanager does not respond. `expected` says whether
 * Alertmanager is configured: if not, the section is hidden. `docs` is where links to runbooks
 * begin: a web address, an empty text for this server, or null if nothing serves them.
 */
export function show(alerts, expected, docs) {
  const now = JSON.stringify([alerts, expected, docs]);
  if (now === shown) return; // keeps a selection, and what a screen reader is reading
  shown = now;
  const firing = alerts?.firing ?? [];
  byId("alerts").hidden = !alerts && !expected;
  const state = byId("alerts-state");
  state.className = !alerts ? "quiet" : firing.length ? "bad" : "good";
  state.lastElementChild.textContent = alerts
    ? firing.length ? `${plural(firing.length, "alert")} firing` : "none is firing"
    : "no word from Alertmanager";
  byId("alerts-firing").replaceChildren(...firing.map((alert) => item(alert, docs)));
}

function item({ name, severity, summary, description, since, runbook }, docs) {
  const at = new Date(since);
  const start = Number.isNaN(at.valueOf()) ? "" : `, since ${date(at)}`;
  const todo = runbook ? [". What to do: ", link(runbook, docs)] : [];
  return el(
    "li",
    { className: `panel alert ${TONES[severity] ?? ""}` },
    el("h3", {}, summary || name),
    el("p", {}, description),
    el("p", { className: "quiet" }, `${name}, ${severity}${start}`, ...todo),
  );
}

/** Returns a link to a runbook; only its path if no page has it. Only web addresses become links. */
function link(runbook, docs) {
  const path = runbook.replace(/^\//, "");
  const isPath = /^\/[^/\\]/.test(runbook) && docs !== null && docs !== undefined;
  const href = isPath ? docs.replace(/\/$/, "") + runbook : runbook;
  if (!isPath && !/^https?:\/\//.test(href)) return el("code", {}, path);
  return el("a", { href, rel: "noreferrer" }, path);
}

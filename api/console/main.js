// The page: what is served, whether all is well, and the parts that do the rest.

import { ask, onLocked, useKey } from "./ask.js";
import * as alerts from "./alerts.js";
import * as attribute from "./attribute.js";
import { byId, el } from "./dom.js";
import * as figures from "./figures.js";
import { plural } from "./format.js";

const LOOK_AGAIN_MS = 10_000;
const PAGES = { flower: "Flower", grafana: "Grafana", prometheus: "Prometheus", alertmanager: "Alertmanager" };

async function showModel() {
  try {
    const { card, device, workers } = await ask("/v1/models");
    byId("model").textContent = [card.version, device, plural(workers, "worker")].join(" · ");
    attribute.setModel(card);
  } catch {
    // Why there is none is said by what is not ready.
  }
}

async function showReady() {
  let state;
  try {
    await ask("/readyz");
    state = "ready";
  } catch (problem) {
    const parts = Object.entries(problem.content?.parts ?? {});
    const bad = parts.filter(([, part]) => part !== "ok").map((part) => part.join(": "));
    state = bad.length ? `not ready, ${bad.join(", ")}` : problem.text;
  }
  const ready = byId("ready");
  ready.className = state === "ready" ? "good" : "bad";
  if (ready.lastElementChild.textContent !== state) ready.lastElementChild.textContent = state;
}

/** Only what is a web address becomes a link, whoever gave it. */
function showLinks(links) {
  const known = Object.keys(PAGES).filter((name) => /^https?:\/\//.test(links?.[name] ?? ""));
  byId("links").replaceChildren(
    el("a", { href: "/docs/" }, "API"),
    ...known.map((name) => el("a", { href: links[name], rel: "noreferrer" }, PAGES[name])),
  );
}

function look() {
  if (document.hidden) return;
  showReady();
  showModel();
}

onLocked(() => {
  byId("unlock").hidden = false;
});
byId("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("key").value);
  byId("unlock").hidden = true;
  look();
  figures.poll();
});

attribute.start();
let alertsExpected = false;
figures.start(({ alerts: told, links }) => {
  if (links) {
    showLinks(links);
    alertsExpected = Boolean(links.alertmanager);
  }
  alerts.show(told, alertsExpected);
});
look();
setInterval(look, LOOK_AGAIN_MS);
document.addEventListener("visibilitychange", look);

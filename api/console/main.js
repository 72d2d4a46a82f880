// Starts the page: shows the model, readiness and links, and starts the other modules.

import * as alerts from "./alerts.js";
import { onLocked, request, useKey } from "./api_client.js";
import * as attribute from "./attribute.js";
import { byId, el } from "./dom.js";
import * as figures from "./figures.js";
import { plural } from "./format.js";

/** Milliseconds between two checks of the model and of readiness. */
const CHECK_MS = 10_000;
const PAGES = { flower: "Flower", grafana: "Grafana", prometheus: "Prometheus", alertmanager: "Alertmanager" };

async function showModel() {
  try {
    const { card, device, workers } = await request("/v1/models");
    byId("model").textContent = [card.version, device, plural(workers, "worker")].join(" · ");
    attribute.setModel(card);
  } catch {
    // The readiness line says why there is no model.
  }
}

async function showReady() {
  let state;
  try {
    await request("/readyz");
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

/** Shows links to other pages. Only web addresses become links. */
function showLinks(links) {
  const known = Object.keys(PAGES).filter((name) => /^https?:\/\//.test(links?.[name] ?? ""));
  byId("links").replaceChildren(
    el("a", { href: "/docs/" }, "API"),
    ...known.map((name) => el("a", { href: links[name], rel: "noreferrer" }, PAGES[name])),
  );
}

function check() {
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
  check();
  figures.poll();
});

attribute.start();
let lastLinks = {}; // the links of the last response: an error has none
figures.start(({ alerts: firing, links }) => {
  if (links) {
    showLinks(links);
    lastLinks = links;
  }
  alerts.show(firing, Boolean(lastLinks.alertmanager), lastLinks.docs);
});
check();
setInterval(check, CHECK_MS);
document.addEventListener("visibilitychange", check);

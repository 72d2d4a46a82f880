// Attributes the message of the form, shows the evidence, and takes feedback on the true author.

import { request } from "./api_client.js";
import { byId, el } from "./dom.js";
import { number, percent } from "./format.js";

/** Milliseconds between two requests for a pending attribution. */
const POLL_MS = 500;
/** Opacity of the mark with the least weight. */
const FAINTEST = 0.12;
/** Opacity of the mark with the most weight. */
const STRONGEST = 0.55;
/** White space as Python's `strip` defines it: JavaScript's `trim` removes other characters. */
const SPACE = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";
const AROUND = new RegExp(`^${SPACE}|${SPACE}$`, "g");

let card = { authors: [], threshold: null };

export function setModel(newCard) {
  card = newCard;
}

export function start() {
  const form = byId("message");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attribute(byId("text").value);
  });
  byId("text").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    if (!byId("send").disabled) form.requestSubmit();
  });
}

async function attribute(text) {
  const [result, send] = [byId("answer"), byId("send")];
  if (!canonical(text)) {
    result.replaceChildren(el("p", { className: "notice" }, "Write a few sentences first."));
    byId("verdict").textContent = result.textContent;
    byId("text").focus();
    return;
  }
  send.disabled = true;
  result.setAttribute("aria-busy", "true");
  const start = performance.now();
  try {
    const attribution = await fetchAttribution(text);
    result.replaceChildren(...render(attribution, canonical(text), performance.now() - start));
  } catch (problem) {
    result.replaceChildren(el("p", { className: "notice" }, problem.text ?? String(problem)));
  } finally {
    byId("verdict").textContent = result.firstElementChild.textContent; // for screen readers
    send.disabled = false;
    result.removeAttribute("aria-busy");
  }
}

/** Posts a message, and polls while its attribution is pending. */
async function fetchAttribution(text) {
  let response = await request("/v1/attributions?explain=true", { text });
  while (response.status === "pending") {
    await new Promise((resume) => setTimeout(resume, POLL_MS));
    response = await request(`/v1/attributions/${response.id}?explain=true`);
  }
  return response;
}

/** Returns the text in the form that the worker attributes: the evidence's offsets refer to it. */
export function canonical(text) {
  return text.replace(/\r\n?/g, "\n").normalize("NFC").replace(AROUND, "");
}

function render(attribution, text, tookMs) {
  const best = attribution.candidates[0];
  const elements = [
    attribution.author === null
      ? el("p", { className: "verdict" }, el("strong", {}, "No author named"))
      : el("p", { className: "verdict" }, el("strong", {}, attribution.author), ` ${percent(attribution.confidence)}`),
  ];
  if (attribution.author === null && best) {
    const guess = `The best guess is ${best.author}, at ${percent(best.confidence)}`;
    const least = card.threshold ? `; the model names an author from ${percent(card.threshold)}` : "";
    elements.push(el("p", {}, `${guess}${least}.`));
  }
  elements.push(candidates(attribution.candidates));
  if (attribution.evidence) elements.push(...explained(attribution.evidence, text));
  else elements.push(el("p", { className: "quiet" }, "This model gives no evidence."));
  const source = attribution.cached ? "from the cache" : "computed";
  elements.push(
    el("p", { className: "quiet took" }, `${number(tookMs)} ms, ${source}, by ${attribution.model}`),
    feedback(attribution),
  );
  return elements;
}

function candidates(list) {
  const rows = list.map(({ author, confidence }) => {
    const bar = el("span", { className: "bar", ariaHidden: "true" }, el("span"));
    bar.firstChild.style.width = `${confidence * 100}%`;
    return el("li", {}, el("span", {}, author), bar, el("span", { className: "figure" }, percent(confidence)));
  });
  return el("ol", { className: "candidates", ariaLabel: "Candidates" }, ...rows);
}

function explained({ author, score, bias, parts, rest }, text) {
  const signed = (weight) => `${weight < 0 ? "−" : "+"}${Math.abs(weight).toFixed(2)}`;
  const sum = parts.reduce((total, part) => total + part.weight, 0);
  const words = `Score ${signed(score)} = bias ${signed(bias)}, marked parts ${signed(sum)}, all else ${signed(rest)}.`;
  const rows = parts.map((part) =>
    el("tr", {}, el("td", {}, part.text), el("td", { className: "figure" }, signed(part.weight))),
  );
  return [
    el("p", { className: "evidence" }, ...highlighted(text, parts, author, signed)),
    el(
      "p",
      { className: "quiet legend" },
      el("mark", { className: "for" }, `for ${author}`),
      " ",
      el("mark", { className: "against" }, "against"),
      ` ${words}`,
    ),
    el(
      "details",
      {},
      el("summary", {}, "The evidence as a list"),
      el("table", {}, el("tbody", {}, ...rows)),
    ),
  ];
}

/** Returns the text with its parts marked. Offsets count code points; JavaScript counts UTF-16. */
export function highlighted(text, parts, author, signed = String) {
  const characters = [...text];
  const maxWeight = Math.max(...parts.map((part) => Math.abs(part.weight)), Number.MIN_VALUE);
  const pieces = [];
  let end = 0;
  for (const { text: words, start, weight } of [...parts].sort((a, b) => a.start - b.start)) {
    const length = [...words].length;
    if (start < end || characters.slice(start, start + length).join("") !== words) continue;
    pieces.push(characters.slice(end, start).join(""));
    const mark = el("mark", { className: weight < 0 ? "against" : "for" }, words);
    mark.title = `${signed(weight)} ${weight < 0 ? "against" : "for"} ${author}`;
    const strength = FAINTEST + (STRONGEST - FAINTEST) * (Math.abs(weight) / maxWeight);
    mark.style.setProperty("--strength", strength.toFixed(3));
    pieces.push(mark);
    end = start + length;
  }
  return [...pieces, characters.slice(end).join("")];
}

function feedback({ id, candidates }) {
  const none = el("option", { value: "" }, "choose …");
  const known = card.authors.length ? card.authors : candidates.map(({ author }) => author);
  const authors = known.map((author) => el("option", { value: author }, author));
  const select = el("select", { id: "really", required: true }, none, ...authors);
  const button = el("button", {}, "Tell");
  const status = el("span", { className: "said", role: "status" });
  const label = el("label", { htmlFor: "really" }, "Who wrote it really?");
  const form = el("form", { className: "row feedback" }, label, select, button, status);
  const tell = async (author, corrects) => {
    button.disabled = true;
    try {
      const { before } = await request("/v1/feedback", { id, author, corrects });
      status.textContent = `Noted: ${author}${before ? `, and no longer ${before.at(-1)}` : ""}.`;
    } catch (problem) {
      if (problem.status === 409 && !corrects) status.replaceChildren(...correction(author, tell));
      else status.textContent = problem.text ?? String(problem);
    } finally {
      button.disabled = false;
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    tell(select.value, false);
  });
  return form;
}

/** Asks whether this author is to take the place of the one that was given before. */
function correction(author, tell) {
  const button = el("button", { type: "button" }, "Correct it");
  button.addEventListener("click", () => tell(author, true));
  return ["Another author was given before. ", button];
}

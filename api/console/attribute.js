// A message, who wrote it, and why; and who wrote it really.

import { ask } from "./ask.js";
import { byId, el } from "./dom.js";
import { number, percent } from "./format.js";

const ASK_AGAIN_MS = 500;
const FAINTEST = 0.12;
const STRONGEST = 0.55;
/** As Python strips: not all that JavaScript trims is white space there, and the other way round. */
const SPACE = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";
const AROUND = new RegExp(`^${SPACE}|${SPACE}$`, "g");

let card = { authors: [], threshold: null };

export function setModel(given) {
  card = given;
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
  const [answer, send] = [byId("answer"), byId("send")];
  send.disabled = true;
  answer.setAttribute("aria-busy", "true");
  const begin = performance.now();
  try {
    const given = await attributed(text);
    answer.replaceChildren(...shown(given, canonical(text), performance.now() - begin));
  } catch (problem) {
    answer.replaceChildren(el("p", { className: "notice" }, problem.text ?? String(problem)));
  } finally {
    byId("verdict").textContent = answer.firstElementChild.textContent; // to be read aloud
    send.disabled = false;
    answer.removeAttribute("aria-busy");
  }
}

/** Ask, and again for as long as the answer is not there yet. */
async function attributed(text) {
  let given = await ask("/v1/attributions?explain=true", { text });
  while (given.status === "pending") {
    await new Promise((resume) => setTimeout(resume, ASK_AGAIN_MS));
    given = await ask(`/v1/attributions/${given.id}?explain=true`);
  }
  return given;
}

/** The form of a text that the offsets of its evidence count in. */
export function canonical(text) {
  return text.replace(/\r\n?/g, "\n").normalize("NFC").replace(AROUND, "");
}

function shown(given, text, took) {
  const best = given.candidates[0];
  const elements = [
    given.author === null
      ? el("p", { className: "verdict" }, el("strong", {}, "No author named"))
      : el("p", { className: "verdict" }, el("strong", {}, given.author), ` ${percent(given.confidence)}`),
  ];
  if (given.author === null && best) {
    const guess = `The best guess is ${best.author}, at ${percent(best.confidence)}`;
    const least = card.threshold ? `; to be named takes ${percent(card.threshold)}` : "";
    elements.push(el("p", {}, `${guess}${least}.`));
  }
  elements.push(candidates(given.candidates));
  if (given.evidence) elements.push(...explained(given.evidence, text));
  else elements.push(el("p", { className: "quiet" }, "This model can't say what speaks for it."));
  const source = given.cached ? "from the cache" : "computed";
  elements.push(
    el("p", { className: "quiet took" }, `${number(took)} ms, ${source}, by ${given.model}`),
    feedback(given),
  );
  return elements;
}

function candidates(given) {
  const rows = given.map(({ author, confidence }) => {
    const bar = el("span", { className: "bar", ariaHidden: "true" }, el("span"));
    bar.firstChild.style.width = `${confidence * 100}%`;
    return el("li", {}, el("span", {}, author), bar, el("span", { className: "figure" }, percent(confidence)));
  });
  return el("ol", { className: "candidates", ariaLabel: "Candidates" }, ...rows);
}

function explained({ author, score, bias, parts, rest }, text) {
  const signed = (weight) => `${weight < 0 ? "−" : "+"}${Math.abs(weight).toFixed(2)}`;
  const sum = parts.reduce((total, part) => total + part.weight, 0);
  const words = `Score ${signed(score)} = bias ${signed(bias)}, marked ${signed(sum)}, all else ${signed(rest)}.`;
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

/** The text, with its parts marked. Offsets count code points, where JavaScript counts UTF-16. */
export function highlighted(text, parts, author, signed = String) {
  const characters = [...text];
  const most = Math.max(...parts.map((part) => Math.abs(part.weight)), Number.MIN_VALUE);
  const pieces = [];
  let end = 0;
  for (const { text: words, start, weight } of [...parts].sort((a, b) => a.start - b.start)) {
    const length = [...words].length;
    if (start < end || characters.slice(start, start + length).join("") !== words) continue;
    pieces.push(characters.slice(end, start).join(""));
    const mark = el("mark", { className: weight < 0 ? "against" : "for" }, words);
    mark.title = `${signed(weight)} ${weight < 0 ? "against" : "for"} ${author}`;
    const strength = FAINTEST + (STRONGEST - FAINTEST) * (Math.abs(weight) / most);
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
  const said = el("span", { className: "said", role: "status" });
  const label = el("label", { htmlFor: "really" }, "Who wrote it really?");
  const form = el("form", { className: "row feedback" }, label, select, button, said);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await ask("/v1/feedback", { id, author: select.value });
      said.textContent = `Noted: ${select.value}.`;
    } catch (problem) {
      said.textContent = problem.text ?? String(problem);
    } finally {
      button.disabled = false;
    }
  });
  return form;
}

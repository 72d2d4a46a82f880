// Requests to the api, with the key if it wants one.

const KEY = "byline-key";
const locked = new EventTarget();
let key = remembered();

/** What went wrong, in words for people. `status` is 0 if no answer came. */
export class Problem extends Error {
  constructor(status, detail, { content = null, retryAfter = null } = {}) {
    super(detail);
    Object.assign(this, { status, content, retryAfter });
  }

  get text() {
    const again = this.retryAfter ? ` Try again in ${this.retryAfter} s.` : "";
    const words = this.message.charAt(0).toUpperCase() + this.message.slice(1);
    return `${words}${/[.!?…]$/.test(words) ? "" : "."}${again}`;
  }
}

/** Return the JSON at `path`; with a body, POST it. */
export async function ask(path, body) {
  const headers = { Accept: "application/json" };
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method: body ? "POST" : "GET",
      headers,
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(60_000),
    });
  } catch {
    throw new Problem(0, "The api does not answer.");
  }
  const content = await response.json().catch(() => null);
  if (response.ok && content !== null) return content;
  if (response.status === 401) locked.dispatchEvent(new Event("locked"));
  const detail = content?.detail || content?.title || `The api answered ${response.status}.`;
  throw new Problem(response.status, detail, {
    content,
    retryAfter: response.headers.get("Retry-After"),
  });
}

export const onLocked = (act) => locked.addEventListener("locked", act);

/** Take the key to send from now on. It stays in this tab. */
export function useKey(given) {
  key = given;
  try {
    sessionStorage.setItem(KEY, given);
  } catch {
    // Storage is switched off: it is known until the page is loaded again.
  }
}

function remembered() {
  try {
    return sessionStorage.getItem(KEY) || "";
  } catch {
    return "";
  }
}

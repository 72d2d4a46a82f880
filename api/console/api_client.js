// Sends requests to the API, with the API key if the user has entered one.

const KEY = "byline-key";
const locked = new EventTarget();
let key = remembered();

/** An error with a text for people. `status` is 0 if the API did not respond. */
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

/** Returns the JSON at `path`. Posts `body`, if there is one. */
export async function request(path, body) {
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
    throw new Problem(0, "The API does not respond.");
  }
  const content = await response.json().catch(() => null);
  if (response.ok && content !== null) return content;
  if (response.status === 401) locked.dispatchEvent(new Event("locked"));
  const detail = content?.detail || content?.title || `The API responded with status ${response.status}.`;
  throw new Problem(response.status, detail, {
    content,
    retryAfter: response.headers.get("Retry-After"),
  });
}

/** Calls `act` when the API refuses a request because its key is missing or wrong. */
export const onLocked = (act) => locked.addEventListener("locked", act);

/** Sends this key from now on. The browser keeps it for this tab only. */
export function useKey(newKey) {
  key = newKey;
  try {
    sessionStorage.setItem(KEY, newKey);
  } catch {
    // Storage is switched off: the page knows the key until it is loaded again.
  }
}

function remembered() {
  try {
    return sessionStorage.getItem(KEY) || "";
  } catch {
    return "";
  }
}

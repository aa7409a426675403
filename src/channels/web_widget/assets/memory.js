// What the browser keeps: the visitor's secret and the messages that are not in the transcript yet. Without usable
// storage (private windows, strict settings) it lives as long as the page.

const KEY = `shoptalk:${SERVER.href}:`;
const VISITOR_KEY = `${KEY}visitor`;
const OUTBOX_KEY = `${KEY}out:`;
/** After a day an unconfirmed message is forgotten rather than sent out of the blue. */
const OUTBOX_AGE_MAX_MS = 24 * 60 * 60 * 1000;

const fallback = new Map();

const memory = {
  get(key) {
    try {
      return localStorage.getItem(key) ?? fallback.get(key) ?? null;
    } catch {
      return fallback.get(key) ?? null;
    }
  },
  set(key, value) {
    fallback.set(key, value);
    try {
      localStorage.setItem(key, value);
    } catch {
      // Kept for this page only.
    }
  },
  remove(key) {
    fallback.delete(key);
    try {
      localStorage.removeItem(key);
    } catch {
      // There was nothing to remove.
    }
  },
  keys() {
    try {
      return [...new Set([...Object.keys(localStorage), ...fallback.keys()])];
    } catch {
      return [...fallback.keys()];
    }
  },
};

function randomHex(bytes) {
  const values = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(values, (value) => value.toString(16).padStart(2, "0")).join("");
}

/** The visitor's secret, if this browser has one. */
function visitorSecret() {
  const secret = memory.get(VISITOR_KEY);
  return /^[0-9a-f]{32,64}$/.test(secret ?? "") ? secret : null;
}

/** The visitor's secret; 128 random bits are drawn when there is none. */
function ensureVisitorSecret() {
  const secret = visitorSecret() ?? randomHex(16);
  memory.set(VISITOR_KEY, secret);
  return secret;
}

function forgetVisitor() {
  memory.remove(VISITOR_KEY);
  for (const message of outbox.all()) outbox.remove(message.id);
}

/**
 * Messages on their way, each under a key of its own so that two tabs do not overwrite one another:
 * `{id, text, at, state: "queued" | "sent" | "failed", error?}`. One is removed when the transcript confirms it.
 */
const outbox = {
  all() {
    const messages = [];
    for (const key of memory.keys().filter((key) => key.startsWith(OUTBOX_KEY))) {
      try {
        const message = JSON.parse(memory.get(key));
        if (Date.now() - message.at < OUTBOX_AGE_MAX_MS) messages.push(message);
        else memory.remove(key);
      } catch {
        memory.remove(key);
      }
    }
    return messages.sort((a, b) => a.at - b.at);
  },
  put(message) {
    memory.set(OUTBOX_KEY + message.id, JSON.stringify(message));
  },
  get(id) {
    return this.all().find((message) => message.id === id);
  },
  remove(id) {
    memory.remove(OUTBOX_KEY + id);
  },
};

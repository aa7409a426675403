// Talking to the server: sending messages in order until each is accepted, and reading the event stream, both of which
// come back by themselves after any failure. The secret travels in a header, never in an address.

const BACKOFF_FIRST_MS = 1000;
const BACKOFF_MAX_MS = 30_000;
/** The server gives a sign of life every 15 s; a stream silent for longer is dead. */
const SILENCE_MAX_MS = 40_000;
const REQUEST_MAX_MS = 20_000;

function backoff(failures) {
  const full = Math.min(BACKOFF_FIRST_MS * 2 ** failures, BACKOFF_MAX_MS);
  return full * (0.5 + Math.random() / 2);
}

function request(path, secret, options = {}) {
  return fetch(serverAddress(`api/widget/${path}`), {
    cache: "no-store",
    credentials: "omit",
    ...options,
    headers: { ...options.headers, ...(secret && { "X-Shoptalk-Visitor": secret }) },
  });
}

function retryAfterMs(response) {
  const seconds = Number(response.headers.get("Retry-After"));
  return seconds > 0 ? seconds * 1000 : undefined;
}

async function fetchConfig() {
  const response = await request("config", null, { signal: AbortSignal.timeout(REQUEST_MAX_MS) });
  if (!response.ok) throw new Error(`config: ${response.status}`);
  return response.json();
}

/** Sends the outbox, oldest first and one at a time. The same id is sent again, so a message never counts twice. */
class Sender {
  /** `tell(message)` when a message's state changed; `tellWait(code, ms)` when sending is put off; `tellFailure()`. */
  constructor({ tell, tellWait, tellFailure }) {
    Object.assign(this, { tell, tellWait, tellFailure, busy: false, failures: 0, timer: undefined });
  }

  async flush() {
    clearTimeout(this.timer);
    if (this.busy) return;
    this.busy = true;
    try {
      for (let message; (message = outbox.all().find(({ state }) => state === "queued")); ) {
        const wait = await this.send(message);
        if (wait !== undefined) {
          this.timer = setTimeout(() => this.flush(), wait);
          return;
        }
      }
    } finally {
      this.busy = false;
    }
  }

  /** Sends one message. Returns the milliseconds to wait when it has to be tried again. */
  async send(message) {
    let response;
    try {
      response = await request("messages", ensureVisitorSecret(), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ id: message.id, text: message.text, language: LANGUAGE }),
        signal: AbortSignal.timeout(REQUEST_MAX_MS),
      });
    } catch {
      this.tellFailure();
      return backoff(this.failures++);
    }
    if (response.ok) {
      this.failures = 0;
      return this.settle(message, { state: "sent" });
    }
    const code = (await response.json().catch(() => ({}))).error?.code ?? "other";
    if (response.status === 429) {
      const wait = retryAfterMs(response) ?? BACKOFF_MAX_MS;
      this.tellWait(code, wait);
      return wait;
    }
    if (response.status >= 500) {
      this.tellFailure();
      return retryAfterMs(response) ?? backoff(this.failures++);
    }
    return this.settle(message, { state: "failed", error: code });
  }

  /** Notes how it went, unless the transcript or the shopper has removed the message meanwhile. */
  settle(message, change) {
    if (!outbox.get(message.id)) return;
    const settled = { ...message, ...change };
    outbox.put(settled);
    this.tell(settled);
  }
}

/** The event stream, read with fetch so that the secret can go into a header. */
class EventStream {
  /** `on(name, data)` for each event; `onLink(up)` when the stream opens or breaks; `onRefused(code)` for good. */
  constructor({ on, onLink, onRefused }) {
    Object.assign(this, { on, onLink, onRefused, lastId: 0, failures: 0, running: undefined, timer: undefined });
  }

  start() {
    if (this.running || !visitorSecret()) return;
    clearTimeout(this.timer);
    this.running = new AbortController();
    this.read(this.running);
  }

  stop() {
    clearTimeout(this.timer);
    this.running?.abort();
    this.running = undefined;
  }

  /** Forgets where the stream was: another conversation follows. */
  reset() {
    this.stop();
    this.lastId = 0;
    this.failures = 0;
  }

  restart() {
    this.stop();
    this.start();
  }

  async read(controller) {
    let wait;
    try {
      const response = await this.open(controller);
      if (response) await this.pump(response, controller);
      else wait = this.wait;
    } catch {
      // A broken stream and an unreachable server are the same: wait and try again.
    }
    if (this.running !== controller) return;
    this.running = undefined;
    this.onLink(false);
    if (wait !== null) this.timer = setTimeout(() => this.start(), wait ?? backoff(this.failures++));
  }

  async open(controller) {
    const alarm = setTimeout(() => controller.abort(), REQUEST_MAX_MS);
    const headers = { Accept: "text/event-stream", ...(this.lastId && { "Last-Event-ID": String(this.lastId) }) };
    const response = await request("events", visitorSecret(), { headers, signal: controller.signal });
    clearTimeout(alarm);
    if (response.ok) return response;
    this.wait = retryAfterMs(response);
    if (response.status === 400 || response.status === 403) {
      this.wait = null;
      this.onRefused((await response.json().catch(() => ({}))).error?.code);
    }
    return undefined;
  }

  async pump(response, controller) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    this.onLink(true);
    let buffer = "";
    for (;;) {
      const silence = setTimeout(() => controller.abort(), SILENCE_MAX_MS);
      const { value, done } = await reader.read().finally(() => clearTimeout(silence));
      if (done || this.running !== controller) return;
      this.failures = 0;
      buffer += value;
      for (let end; (end = buffer.indexOf("\n\n")) >= 0; buffer = buffer.slice(end + 2)) {
        this.dispatch(buffer.slice(0, end));
      }
    }
  }

  dispatch(block) {
    let name = "message";
    let data = "";
    for (const line of block.split("\n")) {
      const [, field, value] = line.match(/^(\w+): ?(.*)$/) ?? [];
      if (field === "event") name = value;
      else if (field === "data") data += value;
      else if (field === "id") this.lastId = Number(value) || this.lastId;
    }
    if (data) this.on(name, JSON.parse(data));
  }
}

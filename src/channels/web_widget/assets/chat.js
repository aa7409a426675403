// The conversation: what the server tells and what the shopper does, brought onto the panel.

const OPEN_KEY = `${KEY}open`;
/** A short break of the line is not worth a notice. */
const OFFLINE_NOTICE_MS = 1500;
/** A page in the background gives its connection back after this time. */
const BACKGROUND_MS = 20_000;
/** A reply in the making that goes no further is not shown for ever. */
const DRAFT_MAX_MS = 120_000;
/** Staff are told that the shopper is writing once in this time. */
const WRITING_EVERY_MS = 4000;

class Chat {
  constructor() {
    this.panel = new Panel({
      send: (text) => this.send(text),
      writing: () => this.tellWriting(),
      restart: () => this.restart(),
      opened: () => this.onOpened(),
      closed: () => this.rememberOpen(false),
      retryNow: () => this.retryNow(),
    });
    this.sender = new Sender({
      tell: () => this.onSettled(),
      tellWait: (code, ms) => this.showWait(code, ms),
      tellFailure: () => this.showLink(false),
    });
    this.stream = new EventStream({
      on: (name, data) => this.onEvent(name, data),
      onLink: (up) => this.onLink(up),
      onRefused: (code) => this.panel.showBar(this.panel.wait, T.errors[code] ?? T.errors.other),
    });
    this.clear();
    this.listen();
    this.resume();
  }

  /** An empty conversation. */
  clear() {
    this.seen = new Set();
    this.caughtUp = false;
    this.panel.log.setAttribute("aria-live", "off");
    this.lastDay = undefined;
    this.words = "";
    this.making = false;
    for (const part of ["messages", "pending", "draft", "chips"]) this.panel[part].replaceChildren();
    this.drawIntro();
    this.showState("bot");
  }

  listen() {
    window.addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => this.onVisibility());
    window.addEventListener("storage", (event) => {
      if (event.key === VISITOR_KEY) this.follow();
    });
    document.addEventListener("click", (event) => {
      const asker = event.target instanceof Element && event.target.closest("[data-shoptalk-ask]");
      if (asker) this.ask(asker.dataset.shoptalkAsk);
    });
  }

  /** Goes on where the last page left off. */
  resume() {
    for (const message of outbox.all()) if (message.state === "sent") outbox.put({ ...message, state: "queued" });
    this.drawPending();
    this.stream.start();
    this.sender.flush();
    const wasOpen = sessionFlag(OPEN_KEY) && !this.panel.fillsScreen();
    if (OPTIONS.open || wasOpen) this.panel.open({ focus: false });
  }

  /** Another tab started a new conversation or the first one. */
  follow() {
    this.stream.reset();
    this.clear();
    this.drawPending();
    this.stream.start();
  }

  onOpened() {
    this.rememberOpen(true);
    if (!this.config) this.loadConfig();
  }

  rememberOpen(open) {
    try {
      sessionStorage.setItem(OPEN_KEY, open ? "1" : "");
    } catch {
      // The next page starts closed.
    }
  }

  async loadConfig() {
    try {
      this.config = await fetchConfig();
    } catch {
      this.showLink(false);
      clearTimeout(this.configTimer);
      this.configTimer = setTimeout(() => this.loadConfig(), BACKOFF_FIRST_MS * 4);
      return;
    }
    if (this.linkUp !== false) this.showLink(true);
    this.panel.title.textContent = this.config.name || T.service;
    this.drawIntro();
  }

  // What the shopper does ------------------------------------------------------------------------------------------

  send(text) {
    outbox.put({ id: randomHex(12), text, at: Date.now(), state: "queued" });
    ensureVisitorSecret();
    this.panel.chips.replaceChildren();
    this.drawIntro();
    this.drawPending();
    this.panel.scrollToEnd();
    this.panel.focusComposer();
    this.stream.start();
    this.sender.flush();
  }

  /** Opens the panel with a question from the page, ready to be sent or changed. */
  ask(text = "") {
    this.panel.open();
    if (text) this.panel.setInput(text);
    this.panel.input.focus();
  }

  /** A failed message gets a new id: under the old one the server would only say that it knows it. */
  retry(message) {
    outbox.remove(message.id);
    this.send(message.text);
  }

  remove(message) {
    outbox.remove(message.id);
    this.drawPending();
    this.panel.focusComposer();
  }

  restart() {
    forgetVisitor();
    this.stream.reset();
    this.linkUp = undefined;
    this.showLink(true);
    this.panel.wait.hidden = true;
    this.clear();
  }

  /** A sign that gets lost is not sent again: the next key sends one. */
  tellWriting() {
    if (!visitorSecret() || Date.now() - (this.writingToldAt ?? 0) < WRITING_EVERY_MS) return;
    this.writingToldAt = Date.now();
    request("writing", visitorSecret(), { method: "POST" }).catch(() => {});
  }

  retryNow() {
    this.stream.restart();
    this.sender.flush();
    if (this.panel.isOpen && !this.config) this.loadConfig();
  }

  onVisibility() {
    clearTimeout(this.backgroundTimer);
    if (document.hidden) this.backgroundTimer = setTimeout(() => this.stream.stop(), BACKGROUND_MS);
    else this.stream.start();
  }

  // What the server tells ------------------------------------------------------------------------------------------

  onEvent(name, data) {
    if (name === "message") this.onMessage(data);
    else if (name === "state") this.onState(data.state);
    else if (name === "progress") this.onProgress(data);
    else if (name === "failed") this.onFailed(data.client_id);
  }

  onMessage(message) {
    if (message.client_id) outbox.remove(message.client_id);
    if (this.seen.has(message.id)) return;
    this.seen.add(message.id);
    const { panel } = this;
    const atEnd = panel.isAtEnd();
    const date = new Date(message.at);
    if (date.toDateString() !== this.lastDay) {
      this.lastDay = date.toDateString();
      panel.messages.append(el("p", "day", {}, dayName(date)));
    }
    const node = messageNode(message);
    if (message.author !== "shopper") this.endDraft();
    panel.messages.append(node);
    this.drawPending();
    this.drawIntro();
    this.drawSuggestions(message);
    if (atEnd) panel.scrollToMessage(node);
    if (this.caughtUp && !panel.isOpen && message.author !== "shopper") panel.setUnread(panel.unread + 1);
  }

  onState(state) {
    this.showState(state);
    if (state !== "bot") this.endDraft();
    if (this.caughtUp) return;
    this.caughtUp = true;
    this.drawIntro();
    if (this.panel.isOpen) this.panel.scrollToEnd();
    // Only what comes from now on is read out, not the whole history.
    setTimeout(() => this.panel.log.setAttribute("aria-live", "polite"), 200);
  }

  onProgress(progress) {
    const atEnd = this.panel.isAtEnd();
    if (progress.type === "typing") {
      this.making = true;
      this.words = "";
    } else if (progress.type === "words" && this.making) {
      this.words += progress.text;
    }
    // Who came in the middle of a reply missed its first words; the finished message follows.
    if (!this.making) return;
    this.panel.draft.replaceChildren(draftNode(this.words));
    clearTimeout(this.draftTimer);
    this.draftTimer = setTimeout(() => this.endDraft(), DRAFT_MAX_MS);
    if (atEnd) this.panel.scrollToEnd();
  }

  endDraft() {
    clearTimeout(this.draftTimer);
    this.making = false;
    this.words = "";
    this.panel.draft.replaceChildren();
  }

  onFailed(id) {
    const message = outbox.get(id);
    if (!message) return;
    outbox.put({ ...message, state: "failed", error: "turn" });
    this.endDraft();
    this.drawPending();
  }

  onSettled() {
    this.drawPending();
    if (this.linkUp !== false) this.showLink(true);
  }

  onLink(up) {
    this.linkUp = up;
    this.endDraft();
    if (up) this.sender.flush();
    this.showLink(up);
  }

  // What is shown --------------------------------------------------------------------------------------------------

  drawIntro() {
    const { config, panel } = this;
    const untouched = !this.seen.size && !outbox.all().length;
    const greeting = OPTIONS.greeting || config?.greeting[LANGUAGE] || T.greeting;
    const questions = untouched && this.ready() ? (config?.suggested_questions[LANGUAGE] ?? []) : [];
    const signature = JSON.stringify([greeting, questions]);
    if (signature === this.introSignature) return;
    this.introSignature = signature;
    panel.intro.replaceChildren(...introNodes(greeting, questions, (text) => this.send(text)));
  }

  /** Whether it is known that there is no earlier conversation to be shown. */
  ready() {
    return this.caughtUp || !visitorSecret();
  }

  drawSuggestions(message) {
    const { chips } = this.panel;
    const offered = message.author === "bot" && !outbox.all().length ? (message.suggestions ?? []) : [];
    chips.replaceChildren();
    if (offered.length) chips.append(chipsNode(offered, T.nextSteps, (text) => this.send(text)));
  }

  drawPending() {
    const actions = { retry: (message) => this.retry(message), remove: (message) => this.remove(message) };
    this.panel.pending.replaceChildren(...outbox.all().map((message) => pendingNode(message, actions)));
    if (!outbox.all().some(({ state }) => state === "queued")) this.panel.wait.hidden = true;
  }

  showState(state) {
    const texts = { waiting: T.waiting, with_staff: T.withStaff };
    this.panel.status.textContent = texts[state] ?? T.automated;
    this.panel.root.classList.toggle("human", state in texts);
  }

  showLink(up) {
    if (up) {
      clearTimeout(this.linkTimer);
      this.linkTimer = undefined;
      this.panel.link.hidden = true;
    } else {
      this.linkTimer ??= setTimeout(() => this.panel.showBar(this.panel.link), OFFLINE_NOTICE_MS);
    }
  }

  showWait(code, ms) {
    const text = code === "busy" ? T.busy : T.tooFast;
    this.panel.showBar(this.panel.wait, fill(text, { n: Math.ceil(ms / 1000) }));
  }
}

function sessionFlag(key) {
  try {
    return sessionStorage.getItem(key) === "1";
  } catch {
    return false;
  }
}

function start() {
  if (window.Shoptalk) return;
  if (OPTIONS.preview) {
    const preview = new Preview();
    window.Shoptalk = Object.freeze({ show: (settings) => preview.show(settings) });
    return;
  }
  const chat = new Chat();
  /** For the merchant's own buttons: `Shoptalk.open()`, `Shoptalk.close()`, `Shoptalk.ask("...")`. */
  window.Shoptalk = Object.freeze({
    open: () => chat.panel.open(),
    close: () => chat.panel.close(),
    ask: (text) => chat.ask(String(text ?? "")),
  });
}

if (document.body) start();
else document.addEventListener("DOMContentLoaded", start);

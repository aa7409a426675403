// The widget's frame: the round button, and the panel with header, log and composer. Everything lives in a shadow root,
// so that neither the page's style nor the widget's reaches the other.

class Panel {
  /** `handlers`: `send(text)`, `writing()`, `restart()`, `opened()`, `closed()`, `retryNow()`. */
  constructor(handlers) {
    this.handlers = handlers;
    this.isOpen = false;
    this.unread = 0;
    this.followsEnd = true;
    this.build();
    this.followTheme();
    this.followViewport();
  }

  build() {
    this.host = document.createElement("shoptalk-widget");
    const shadow = this.host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    shadow.adoptedStyleSheets = [sheet];
    this.badge = el("span", "badge", { hidden: true, "aria-hidden": "true" });
    this.launcher = el(
      "button",
      "launcher",
      { type: "button", "aria-label": T.open, "aria-expanded": "false", "aria-controls": "panel", onclick: () => this.toggle() },
      icon("chat"),
      icon("down"),
      this.badge,
    );
    this.panel = el(
      "section",
      "panel",
      { id: "panel", role: "dialog", "aria-labelledby": "title", tabindex: "-1", hidden: true, onkeydown: (event) => this.onKey(event) },
      this.buildHeader(),
      this.buildNotices(),
      this.buildLog(),
      this.buildComposer(),
    );
    this.root = el("div", "root", { lang: LANGUAGE }, this.panel, this.launcher);
    shadow.append(this.root);
    document.body.append(this.host);
  }

  buildHeader() {
    this.title = el("h2", "", { id: "title" }, T.service);
    this.status = el("p", "status", { role: "status" }, T.automated);
    this.mark = el("span", "mark", { "aria-hidden": "true" }, icon("chat"));
    const button = (name, label, onclick) =>
      el("button", `tool ${name}`, { type: "button", "aria-label": label, title: label, onclick }, icon(name));
    return el(
      "header",
      "",
      {},
      this.mark,
      el("div", "names", {}, this.title, this.status),
      button("restart", T.restart, () => this.askRestart()),
      button("close", T.close, () => this.close()),
    );
  }

  buildNotices() {
    this.link = el(
      "div",
      "bar",
      { role: "status", hidden: true },
      el("span", "", {}, T.offline),
      el("button", "link", { type: "button", onclick: () => this.handlers.retryNow() }, T.retryNow),
    );
    this.wait = el("div", "bar", { role: "status", hidden: true });
    const answer = (label, onclick) => el("button", "link", { type: "button", onclick }, label);
    this.confirmNo = answer(T.cancel, () => this.closeConfirm());
    this.confirmYes = answer(T.restartYes, () => {
      this.closeConfirm();
      this.handlers.restart();
      this.focusComposer();
    });
    const question = el("p", "", { id: "restart-question" }, T.restartAsk);
    this.confirm = el(
      "div",
      "bar confirm",
      { role: "alertdialog", "aria-labelledby": "restart-question", hidden: true },
      question,
      el("div", "answers", {}, this.confirmYes, this.confirmNo),
    );
    return el("div", "bars", {}, this.confirm, this.link, this.wait);
  }

  buildLog() {
    this.intro = el("div", "intro");
    this.messages = el("div", "messages");
    this.pending = el("div", "outgoing", { "aria-live": "off" });
    this.draft = el("div", "making", { "aria-live": "off" });
    this.chips = el("div", "next");
    this.log = el(
      "div",
      "log",
      { role: "log", "aria-live": "off", "aria-label": T.messages, tabindex: "0" },
      this.intro,
      this.messages,
      this.pending,
      this.draft,
      this.chips,
    );
    // A notice above or a keyboard below makes the log smaller; who read the end goes on reading the end.
    this.log.addEventListener("scroll", () => (this.followsEnd = this.isAtEnd()), { passive: true });
    new ResizeObserver(() => this.followsEnd && this.scrollToEnd()).observe(this.log);
    return this.log;
  }

  buildComposer() {
    this.input = el("textarea", "", {
      rows: "1",
      dir: "auto",
      placeholder: T.placeholder,
      "aria-label": T.placeholder,
      "aria-describedby": "count",
      enterkeyhint: "send",
      oninput: () => this.onInput(),
      onkeydown: (event) => this.onComposerKey(event),
    });
    this.sendButton = el("button", "send", { type: "submit", "aria-label": T.send, title: T.send, disabled: true }, icon("send"));
    this.count = el("p", "count", { id: "count", role: "status", hidden: true });
    const form = el("form", "composer", {}, el("div", "field", {}, this.input, this.sendButton), this.count);
    form.append(el("p", "footer", {}, T.footer));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    return form;
  }

  // Opening and closing ------------------------------------------------------------------------------------------

  toggle() {
    if (this.isOpen) this.close();
    else this.open();
  }

  /** Opens the panel; `focus: false` leaves the page's focus where it is. */
  open({ focus = true } = {}) {
    if (this.isOpen) return;
    this.isOpen = true;
    this.panel.hidden = false;
    this.root.classList.add("open");
    this.launcher.setAttribute("aria-expanded", "true");
    this.setUnread(0);
    this.fitViewport();
    this.handlers.opened();
    this.scrollToEnd();
    if (focus) this.focusComposer();
  }

  close() {
    if (!this.isOpen) return;
    const hadFocus = this.panel.contains(this.host.shadowRoot.activeElement);
    this.isOpen = false;
    this.panel.hidden = true;
    this.root.classList.remove("open");
    this.launcher.setAttribute("aria-expanded", "false");
    this.setUnread(0);
    this.fitViewport();
    this.handlers.closed();
    if (hadFocus) this.launcher.focus();
  }

  setUnread(count) {
    this.unread = count;
    this.badge.hidden = count === 0;
    this.badge.textContent = count > 9 ? "9+" : String(count);
    const closedLabel = count ? fill(T.openUnread, { n: count }) : T.open;
    this.launcher.setAttribute("aria-label", this.isOpen ? T.close : closedLabel);
  }

  /** On a phone the keyboard would cover the greeting, so the panel itself takes the focus there. */
  focusComposer() {
    const touch = matchMedia("(pointer: coarse)").matches;
    (touch ? this.panel : this.input).focus({ preventScroll: true });
  }

  onKey(event) {
    if (event.key === "Escape" && !event.isComposing) {
      event.stopPropagation();
      if (this.confirm.hidden) this.close();
      else this.closeConfirm();
    } else if (event.key === "Tab" && this.fillsScreen()) {
      this.keepFocusInside(event);
    }
  }

  /** The panel covers a phone's screen, so Tab goes round inside it. */
  keepFocusInside(event) {
    const all = [...this.panel.querySelectorAll("button, textarea, a[href], summary, [tabindex='0']")];
    const stops = all.filter((node) => !node.disabled && node.getClientRects().length);
    const [first, last] = [stops[0], stops.at(-1)];
    const active = this.host.shadowRoot.activeElement;
    const target = event.shiftKey ? (active === first || active === this.panel ? last : null) : active === last ? first : null;
    if (!target) return;
    event.preventDefault();
    target.focus();
  }

  askRestart() {
    this.confirm.hidden = false;
    this.confirmNo.focus();
  }

  closeConfirm() {
    this.confirm.hidden = true;
    this.panel.querySelector(".restart").focus();
  }

  // Writing --------------------------------------------------------------------------------------------------------

  onInput() {
    const length = this.length();
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight, 132)}px`;
    const tooLong = length > TEXT_CHARS_MAX;
    this.count.hidden = length < TEXT_CHARS_MAX * 0.9;
    this.count.classList.toggle("over", tooLong);
    const numbers = { n: length.toLocaleString(LOCALE), max: TEXT_CHARS_MAX.toLocaleString(LOCALE) };
    this.count.textContent = this.count.hidden ? "" : fill(tooLong ? T.tooLong : T.count, numbers);
    this.input.setAttribute("aria-invalid", String(tooLong));
    this.sendButton.disabled = tooLong || !this.input.value.trim();
    if (!this.sendButton.disabled) this.handlers.writing();
  }

  /** Characters as people count them, not UTF-16 units. */
  length() {
    return [...this.input.value].length;
  }

  onComposerKey(event) {
    // While an input method is open, Enter chooses a word.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.submit();
  }

  submit() {
    const text = this.input.value.trim();
    if (!text || this.length() > TEXT_CHARS_MAX) return;
    this.setInput("");
    this.handlers.send(text);
  }

  setInput(text) {
    this.input.value = text;
    this.onInput();
  }

  // Looks ----------------------------------------------------------------------------------------------------------

  showBar(bar, text) {
    if (text !== undefined) bar.textContent = text;
    bar.hidden = false;
  }

  isAtEnd() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 96;
  }

  scrollToEnd() {
    this.log.scrollTop = this.log.scrollHeight;
  }

  /** Shows a new message from its first line, also when it is longer than the log. */
  scrollToMessage(node) {
    const end = this.log.scrollHeight - this.log.clientHeight;
    this.log.scrollTop = Math.min(end, node.offsetTop - this.log.offsetTop - 12);
  }

  followTheme() {
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.applyLooks());
    this.applyLooks();
  }

  applyLooks() {
    const preference = matchMedia("(prefers-color-scheme: dark)");
    const dark = OPTIONS.theme === "dark" || (OPTIONS.theme !== "light" && preference.matches);
    this.root.classList.toggle("dark", dark);
    this.root.classList.toggle("left", OPTIONS.left);
    this.root.classList.toggle("right", !OPTIONS.left);
    for (const [name, value] of Object.entries(colorVariables(dark))) this.root.style.setProperty(name, value);
  }

  fillsScreen() {
    return matchMedia("(max-width: 480px), (max-height: 420px)").matches;
  }

  /** Keeps the composer above a phone's keyboard and the page behind from scrolling. */
  followViewport() {
    for (const name of ["resize", "scroll"]) window.visualViewport?.addEventListener(name, () => this.fitViewport());
    window.addEventListener("resize", () => this.fitViewport());
  }

  fitViewport() {
    const covers = this.isOpen && this.fillsScreen();
    if (covers) this.panel.setAttribute("aria-modal", "true");
    else this.panel.removeAttribute("aria-modal");
    const page = document.documentElement;
    if (covers && this.pageOverflow === undefined) {
      this.pageOverflow = page.style.overflow;
      page.style.overflow = "hidden";
    } else if (!covers && this.pageOverflow !== undefined) {
      page.style.overflow = this.pageOverflow;
      this.pageOverflow = undefined;
    }
    const view = window.visualViewport;
    if (!view) return;
    this.root.style.setProperty("--view-height", `${view.height}px`);
    this.root.style.setProperty("--view-top", `${view.offsetTop}px`);
  }
}

// The widget in the merchant's console: it looks as it would on a page and talks to nobody.

class Preview {
  constructor() {
    const nothing = () => {};
    const handlers = ["send", "writing", "restart", "opened", "closed", "retryNow"].map((name) => [name, nothing]);
    this.panel = new Panel(Object.fromEntries(handlers));
    this.panel.open({ focus: false });
    this.show(JSON.parse(SCRIPT.dataset.settings ?? "{}"));
  }

  /** `settings`: `{name, colour, position, greeting, questions}`, the last two in the preview's language. */
  show({ name, colour, position, greeting, questions = [] }) {
    OPTIONS.color = parseColor(colour) ?? OPTIONS.color;
    OPTIONS.left = (position ?? SETTINGS.position) === "left";
    this.panel.applyLooks();
    this.panel.title.textContent = name || T.service;
    this.panel.intro.replaceChildren(...introNodes(greeting || T.greeting, questions, () => {}));
  }
}

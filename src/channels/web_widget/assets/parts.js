// The pieces a conversation is drawn with. Whatever came over the network becomes text, never markup.

const ICONS = {
  chat: "M4 5.5A2.5 2.5 0 0 1 6.5 3h11A2.5 2.5 0 0 1 20 5.5v8a2.5 2.5 0 0 1-2.5 2.5H11l-4.6 4a.85.85 0 0 1-1.4-.65V16A2.5 2.5 0 0 1 4 13.5z",
  close: "M6 6l12 12M18 6L6 18",
  down: "M6 9.5l6 6 6-6",
  send: "M5 12h13M12.5 6l6 6-6 6",
  restart: "M12 5v14M5 12h14",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20a7.5 7.5 0 0 1 15 0",
  box: "M4 8l8-4 8 4v8l-8 4-8-4zM4 8l8 4 8-4M12 12v8",
};

/** An element: `classes` like CSS, `attributes` as they stand in HTML, `on...` as listeners; children as nodes or text. */
function el(tag, classes, attributes = {}, ...children) {
  const node = document.createElement(tag);
  if (classes) node.className = classes;
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null));
  return node;
}

function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon", `icon-${name}`);
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Text in which web addresses are links. */
function linkedText(text) {
  const fragment = document.createDocumentFragment();
  let end = 0;
  for (const match of text.matchAll(/https?:\/\/[^\s<>"'，。；）》」]+[^\s<>"'，。；）》」.,;:!?)\]]/g)) {
    const href = webAddress(match[0]);
    if (!href) continue;
    fragment.append(text.slice(end, match.index));
    fragment.append(el("a", "", { href, target: "_blank", rel: "noopener noreferrer nofollow" }, match[0]));
    end = match.index + match[0].length;
  }
  fragment.append(text.slice(end));
  return fragment;
}

const timeFormat = new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat(LOCALE, { weekday: "long", day: "numeric", month: "long" });

function dayName(date) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86_400_000);
  if (days === 0) return T.today;
  return days === 1 ? T.yesterday : dayFormat.format(date);
}

function timeNode(at) {
  const date = new Date(at);
  return el("time", "", { datetime: date.toISOString() }, timeFormat.format(date));
}

function authorName(message) {
  if (message.author === "shopper") return T.you;
  return message.author === "staff" ? (message.author_name ?? T.team) : T.assistant;
}

/** A message of the transcript. */
function messageNode(message) {
  const who = authorName(message);
  const own = message.author === "shopper";
  const node = el("article", `message ${message.author}`, { "aria-label": who });
  if (!own) node.append(avatar(message));
  const body = el("div", "body", {}, el("div", "bubble", { dir: "auto" }, linkedText(message.text)));
  for (const part of [citationsNode(message.citations), productsNode(message.products)]) if (part) body.append(part);
  if (message.handoff) body.append(el("p", "notice", { dir: "auto" }, icon("person"), T.handoff));
  body.append(el("p", "meta", {}, ...(own ? [] : [`${who} · `]), timeNode(message.at)));
  node.append(body);
  return node;
}

function avatar(message) {
  if (message.author !== "staff") return el("span", "avatar", { "aria-hidden": "true" }, icon("chat"));
  return el("span", "avatar person", { "aria-hidden": "true" }, authorName(message).trim().slice(0, 1).toUpperCase());
}

function citationsNode(citations = []) {
  if (!citations.length) return undefined;
  return el("div", "citations", {}, ...citations.map(citationNode));
}

function citationNode({ document: name, heading, quote }) {
  const title = heading ? `${name} › ${heading}` : name;
  return el(
    "details",
    "citation",
    {},
    el("summary", "", {}, el("span", "label", {}, T.source), el("span", "place", { dir: "auto" }, title), icon("down")),
    el("blockquote", "", { dir: "auto" }, quote),
  );
}

function productsNode(products = []) {
  if (!products.length) return undefined;
  const list = el("ul", "products", { "aria-label": T.products, tabindex: products.length > 1 ? "0" : undefined });
  list.append(...products.map((product) => el("li", "", {}, productNode(product))));
  return list;
}

function productNode(product) {
  const href = productAddress(product.sku);
  const title = href ? el("a", "title", { href }, product.title) : el("span", "title", {}, product.title);
  const stock = product.stock === 0 ? T.soldOut : product.stock <= 3 ? fill(T.fewLeft, { n: product.stock }) : T.inStock;
  const stockClass = product.stock === 0 ? "stock none" : product.stock <= 3 ? "stock few" : "stock";
  return el(
    "div",
    "product",
    {},
    pictureNode(product),
    el(
      "div",
      "facts",
      { dir: "auto" },
      title,
      el("p", "price", {}, product.price, el("span", stockClass, {}, stock)),
      product.reason ? el("p", "reason", {}, product.reason) : undefined,
    ),
  );
}

function pictureNode({ image }) {
  const frame = el("div", "picture", { "aria-hidden": "true" }, icon("box"));
  const src = image && webAddress(image.startsWith("/") ? serverAddress(image) : image);
  if (!src) return frame;
  const picture = el("img", "", { alt: "", referrerpolicy: "no-referrer" });
  picture.addEventListener("load", () => frame.replaceChildren(picture));
  picture.src = src;
  return frame;
}

/** The shopper's message while it is on its way. `retry` and `remove` are called by the buttons of a failed one. */
function pendingNode(message, { retry, remove }) {
  const failed = message.state === "failed";
  const body = el("div", "body", {}, el("div", "bubble", { dir: "auto" }, message.text));
  if (failed) {
    const button = (label, onclick) => el("button", "link", { type: "button", onclick }, label);
    const reason = T.errors[message.error] ?? T.errors.other;
    body.append(
      el("p", "problem", { role: "alert" }, `${T.failed}. ${reason}`),
      el("p", "meta", {}, button(T.retry, () => retry(message)), button(T.remove, () => remove(message))),
    );
  } else {
    body.append(el("p", "meta", {}, message.state === "sent" ? T.sent : T.queued));
  }
  return el("article", `message shopper pending ${message.state}`, { "aria-label": T.you }, body);
}

/** What stands above the first message: the greeting and what a shopper may ask. */
function introNodes(greeting, questions, choose) {
  const bubble = el("div", "bubble", { dir: "auto" }, greeting);
  const body = el("div", "body", {}, bubble);
  const message = el("article", "message bot", { "aria-label": T.assistant }, avatar({ author: "bot" }), body);
  return questions.length ? [message, chipsNode(questions, T.suggested, choose)] : [message];
}

/** Short texts to choose from; the chosen one is the shopper's next message. */
function chipsNode(texts, label, choose) {
  const chips = texts.map((text) =>
    el("button", "chip", { type: "button", dir: "auto", onclick: () => choose(text) }, text),
  );
  return el("div", "chips", { role: "group", "aria-label": label }, ...chips);
}

/** The reply in the making: dots, or the words so far. Not announced; the finished message is. */
function draftNode(words) {
  const bubble = words
    ? el("div", "bubble", { dir: "auto" }, words)
    : el("div", "bubble dots", { role: "img", "aria-label": T.typing }, el("i"), el("i"), el("i"));
  return el("article", "message bot draft", {}, avatar({ author: "bot" }), el("div", "body", {}, bubble));
}

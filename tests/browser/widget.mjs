// The chat widget as a shopper meets it. Started by tests/shop/browser.rs, which prepares the shop's data.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const { SHOPTALK_BIN, SHOPTALK_DATA, SHOPTALK_VISITOR, CHROMIUM, SHOTS } = process.env;

/** The real program; `listen` says where, and the address it prints is the one used. */
class Server {
  async start(listen = "127.0.0.1:0") {
    this.child = spawn(SHOPTALK_BIN, ["serve", "--data-dir", SHOPTALK_DATA, "--listen", listen], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    for await (const line of createInterface({ input: this.child.stderr })) {
      // It listens a moment before the shop is open, and says so first.
      const address = line.match(/is ready: http:\/\/([^/\s]+)\//)?.[1];
      if (address) {
        this.child.stderr.resume();
        this.address = address;
        return;
      }
    }
    throw new Error("the server stopped before it was ready");
  }

  /** As a power cut would. */
  async kill() {
    const gone = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGKILL");
    await gone;
  }

  get url() {
    return `http://${this.address}/`;
  }
}

/** The pieces of the widget that the tests look at. */
class Widget {
  constructor(page) {
    this.page = page;
    this.panel = page.getByRole("dialog", { name: /Nord & Fjord|Customer service|在线客服/ });
    this.input = page.locator("shoptalk-widget textarea");
    this.bot = page.locator("shoptalk-widget .messages .message.bot");
    this.own = page.locator("shoptalk-widget .messages .message.shopper");
    this.pending = page.locator("shoptalk-widget .outgoing .message");
    this.chips = page.locator("shoptalk-widget .chip");
  }

  async say(text) {
    await this.input.fill(text);
    await this.input.press("Enter");
  }

  async expectCounts({ own, bot, pending = 0 }) {
    const counts = async () => [await this.own.count(), await this.bot.count(), await this.pending.count()];
    await until(async () => assert.deepEqual(await counts(), [own, bot, pending]));
  }
}

/** Tries `check` until it holds. */
async function until(check, limit_ms = 60_000) {
  const end = Date.now() + limit_ms;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function shot(page, name) {
  if (!SHOTS) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.waitForTimeout(400);
  await page.screenshot({ path: `${SHOTS}/${name}.png` });
}

/** Focus as the shopper sees it, also inside the shadow root. */
function focused(page) {
  return page.evaluate(() => {
    const inner = document.activeElement?.shadowRoot?.activeElement ?? document.activeElement;
    return inner?.getAttribute("aria-label") ?? inner?.className ?? "";
  });
}

async function tabTo(page, label) {
  for (let presses = 0; presses < 60; presses++) {
    if ((await focused(page)).startsWith(label)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`Tab never reaches "${label}"`);
}

async function keyboardOnly(server, browser) {
  const page = await newPage(browser, server);
  const widget = new Widget(page);
  await shot(page, "shop-light");
  await tabTo(page, "Open chat");
  await page.keyboard.press("Enter");
  await widget.panel.waitFor();
  assert.equal(await focused(page), "Write a message");
  await widget.chips.nth(2).waitFor();
  await shot(page, "greeting-light");
  await page.keyboard.press("Escape");
  await widget.panel.waitFor({ state: "hidden" });
  assert.match(await focused(page), /^Open chat/);
  await page.keyboard.press("Space");
  await widget.panel.waitFor();
  await page.keyboard.type("first line");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("second line");
  assert.equal(await widget.input.inputValue(), "first line\nsecond line");
  await page.keyboard.press("Enter");
  await widget.expectCounts({ own: 1, bot: 1 });
  await page.context().close();
}

async function survivesACrash(server, browser) {
  const page = await newPage(browser, server);
  const widget = new Widget(page);
  await page.getByRole("button", { name: /^Open chat/ }).click();
  await widget.chips.first().click();
  await widget.expectCounts({ own: 1, bot: 1 });
  assert.equal(await widget.own.first().locator(".bubble").innerText(), "How long do I have to return boots?");
  await widget.say("Do you ship to Norway?");
  await widget.expectCounts({ own: 2, bot: 2 });

  await server.kill();
  await widget.say("Do you ship to Iceland?");
  await widget.say("Hello?");
  await widget.expectCounts({ own: 2, bot: 2, pending: 2 });
  await page.getByText("No connection.").waitFor();
  await shot(page, "offline");
  await assert.rejects(page.reload(), /ERR_/, "the server is really gone");

  await server.start(server.address);
  // The browser's own error page may still be on its way and interrupt the first try.
  await until(() => page.goto(server.url));
  await widget.expectCounts({ own: 4, bot: 4 });
  const texts = await widget.own.locator(".bubble").allInnerTexts();
  assert.deepEqual(texts.slice(2), ["Do you ship to Iceland?", "Hello?"], "in the order in which they were written");

  // Without leaving the page: the stream comes back by itself and goes on where it was.
  await server.kill();
  await widget.say("And again?");
  await server.start(server.address);
  await widget.expectCounts({ own: 5, bot: 5 });
  await page.reload();
  await widget.expectCounts({ own: 5, bot: 5 });
  await page.context().close();
}

async function showsARichConversation(server, browser) {
  for (const colorScheme of ["light", "dark"]) {
    const page = await newPage(browser, server, { colorScheme }, SHOPTALK_VISITOR);
    if (colorScheme === "dark") await shot(page, "shop-dark");
    const widget = new Widget(page);
    await page.getByRole("button", { name: /^Open chat/ }).click();
    await widget.expectCounts({ own: 3, bot: 3 });
    await page.getByText("You are talking to our team").waitFor();
    const staff = page.locator("shoptalk-widget .message.staff");
    assert.match(await staff.innerText(), /Ana ·\s+\d/);
    const link = staff.getByRole("link");
    assert.equal(await link.getAttribute("href"), "https://nordfjord.example/orders");
    await shot(page, `staff-${colorScheme}`);
    const quote = page.locator("shoptalk-widget blockquote").first();
    assert.equal(await quote.isVisible(), false);
    await page.locator("shoptalk-widget summary").first().click();
    assert.match(await quote.innerText(), /within 30 days/);
    await page.locator("shoptalk-widget summary").first().scrollIntoViewIfNeeded();
    await shot(page, `citation-${colorScheme}`);
    await page.locator("shoptalk-widget .product").first().scrollIntoViewIfNeeded();
    await until(async () => assert.equal(await page.locator("shoptalk-widget .product img").count(), 2));
    await shot(page, `products-${colorScheme}`);
    // Markup in a reply stays text, and nothing but a web address becomes a picture or a link.
    assert.equal(await page.getByText("<img src=x onerror=alert(1)>").count(), 1);
    assert.equal(await page.locator("shoptalk-widget").locator("img[src^='javascript'], a[href^='javascript'], b").count(), 0);
    await page.context().close();
  }
}

async function limitsAndNewConversation(server, browser) {
  const page = await newPage(browser, server);
  const widget = new Widget(page);
  await page.getByRole("button", { name: /^Open chat/ }).click();
  await widget.input.fill("x".repeat(100_000));
  await page.getByText("100,000 of 4,000 characters").waitFor();
  await widget.input.press("Enter");
  await shot(page, "too-long");
  await widget.expectCounts({ own: 0, bot: 0 });
  await widget.say("short enough");
  await widget.expectCounts({ own: 1, bot: 1 });
  const secret = await visitorSecret(page);
  await page.getByRole("button", { name: "New conversation" }).click();
  await page.getByRole("button", { name: "Start new" }).click();
  await widget.expectCounts({ own: 0, bot: 0 });
  await widget.chips.first().waitFor();
  await widget.say("a fresh start");
  await widget.expectCounts({ own: 1, bot: 1 });
  assert.notEqual(await visitorSecret(page), secret);
  await page.context().close();
}

async function onAPhone(server, browser) {
  const phone = { viewport: { width: 375, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
  const page = await newPage(browser, server, phone, SHOPTALK_VISITOR);
  await shot(page, "shop-phone");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `the page is ${wide} px too wide for a phone`);
  const widget = new Widget(page);
  await page.getByRole("button", { name: /^Open chat/ }).tap();
  await widget.expectCounts({ own: 3, bot: 3 });
  const screen = { x: 0, y: 0, width: 375, height: 740 };
  await until(async () => assert.deepEqual(await widget.panel.boundingBox(), screen));
  assert.equal(await widget.panel.getAttribute("aria-modal"), "true");
  await shot(page, "staff-phone");
  await page.locator("shoptalk-widget .product").first().scrollIntoViewIfNeeded();
  await shot(page, "products-phone");
  await page.setViewportSize({ width: 375, height: 400 });
  await until(async () => assert.equal((await widget.panel.boundingBox()).height, 400));
  await shot(page, "keyboard-phone");
  await page.context().close();
}

async function inChineseOnAnotherOrigin(server, browser) {
  const page = await newPage(browser, server, { locale: "zh-CN" });
  await shot(page, "shop-chinese");
  // A page of another origin, with styles that would break a widget in the page itself.
  const shop = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end(`<!doctype html><style>* { color: red !important; position: static !important; font-size: 40px !important }</style>
      <h1>A shop</h1><script src="${server.url}widget.js" data-color="#facc15" data-position="left" data-open="true" defer></script>`);
  });
  await new Promise((resolve) => shop.listen(0, "127.0.0.1", resolve));
  await page.goto(`http://127.0.0.1:${shop.address().port}/`);
  const widget = new Widget(page);
  await widget.chips.first().waitFor();
  assert.equal(await widget.chips.count(), 2);
  await widget.chips.first().click();
  await widget.expectCounts({ own: 1, bot: 1 });
  const size = await page.locator("shoptalk-widget .bubble").first().evaluate((node) => getComputedStyle(node).fontSize);
  assert.equal(size, "15px");
  const color = await page.locator("shoptalk-widget .launcher").evaluate((node) => getComputedStyle(node).backgroundColor);
  assert.equal(color, "rgb(250, 204, 21)", "the merchant's own colour, not the page's");
  await shot(page, "chinese-other-origin");
  await page.context().close();
  shop.close();
}

function visitorSecret(page) {
  return page.evaluate(() => Object.entries(localStorage).find(([key]) => key.endsWith("visitor"))?.[1]);
}

/** A page on the demo shop in a browser of its own; errors of scripts and of the content policy fail the test. */
async function newPage(browser, server, options = {}, visitor = undefined) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, locale: "en-GB", ...options });
  if (visitor) {
    await context.addInitScript(([url, secret]) => localStorage.setItem(`shoptalk:${url}:visitor`, secret), [server.url, visitor]);
  }
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => /Content Security Policy/.test(message.text()) && problems.push(message.text()));
  page.on("request", (request) => visitor && request.url().includes(visitor) && problems.push(`secret in ${request.url()}`));
  await page.goto(server.url);
  return page;
}

const problems = [];
const server = new Server();
await server.start();
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
try {
  const steps = [keyboardOnly, survivesACrash, showsARichConversation, limitsAndNewConversation, onAPhone, inChineseOnAnotherOrigin];
  for (const step of steps.filter((step) => !process.env.STEP || step.name === process.env.STEP)) {
    await step(server, browser);
    console.log(`ok: ${step.name}`);
  }
  assert.deepEqual(problems, []);
} finally {
  await browser.close();
  await server.kill();
}

// The staff's inbox in Chromium: keyboard, ready answers, panes on a wide screen and on a phone. Started by
// tests/shop/console/browser.rs, which prepares the shop and serves its console.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const { ORIGIN, EMAIL, PASSWORD, CHROMIUM, SHOTS } = process.env;
const problems = [];

async function newPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: "en-GB", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => /Content Security Policy/.test(message.text()) && problems.push(message.text()));
  await page.goto(`${ORIGIN}/console/login?next=/console/conversations`);
  await page.locator("input[name=email]").fill(EMAIL);
  await page.locator("input[name=password]").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.pathname === "/console/conversations");
  return page;
}

async function shot(page, name) {
  if (!SHOTS) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: `${SHOTS}/${name}.png` });
}

/** Presses a key and waits for the page that it leads to. */
async function pressAndLoad(page, key) {
  await Promise.all([page.waitForNavigation(), page.keyboard.press(key)]);
}

const openRow = (page) => page.locator("#list a[aria-current=true]").getAttribute("href");
const hasNoSidewaysScroll = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth);

async function byKeyboard(browser) {
  const page = await newPage(browser);
  await shot(page, "list");
  await pressAndLoad(page, "j");
  const first = await openRow(page);
  assert.ok(await page.locator("#transcript").isVisible());
  await pressAndLoad(page, "j");
  assert.notEqual(await openRow(page), first);
  await pressAndLoad(page, "k");
  assert.equal(await openRow(page), first);
  await page.keyboard.press("?");
  assert.ok(await page.getByRole("dialog").isVisible());
  await shot(page, "help");
  await page.keyboard.press("Escape");
  assert.ok(!(await page.locator("#help").isVisible()));
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "q");
  await page.keyboard.type("jjk?");
  assert.equal(await page.locator("#q").inputValue(), "jjk?", "letters are letters while somebody types");
  await page.context().close();
}

async function readyAnswers(browser) {
  const page = await newPage(browser);
  await pressAndLoad(page, "j");
  await page.keyboard.press("r");
  await page.keyboard.type("Dear Ada, /ret");
  assert.equal(await page.locator("#ready [role=option]").count(), 1);
  await shot(page, "ready");
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("#text").inputValue(), "Dear Ada, You can return unworn boots within thirty days.");
  await pressAndLoad(page, "Control+Enter");
  await page.locator("#transcript .staff").getByText("Dear Ada, You can return").waitFor();
  await page.locator("h1").click();
  await page.keyboard.press("n");
  await page.keyboard.type("She will send them back.");
  await pressAndLoad(page, "Control+Enter");
  await page.locator("#transcript .note").getByText("She will send them back.").waitFor();
  await page.context().close();
}

async function threePanes(browser, options, name) {
  const page = await newPage(browser, options);
  await page.goto(`${ORIGIN}/console/conversations?q=boot`);
  await page.locator("#list .rows a").first().click();
  await page.locator("#transcript").waitFor();
  for (const part of ["#list", "#transcript", "#about"]) assert.ok(await page.locator(part).isVisible(), part);
  await page.waitForFunction(() => document.getElementById("writes").textContent !== "");
  assert.ok(await hasNoSidewaysScroll(page));
  await shot(page, name);
  await page.context().close();
}

async function onAPhone(browser) {
  const page = await newPage(browser, { viewport: { width: 390, height: 844 }, hasTouch: true });
  assert.ok(await hasNoSidewaysScroll(page));
  await shot(page, "phone-list");
  await page.locator("#list .rows a").first().click();
  await page.locator("#transcript").waitFor();
  assert.ok(!(await page.locator("#list").isVisible()), "one pane at a time");
  assert.ok(!(await page.locator("#about").isVisible()), "one pane at a time");
  assert.ok(await hasNoSidewaysScroll(page));
  await shot(page, "phone-conversation");
  await page.locator(".to-shopper").click();
  assert.ok(await page.locator("#about").isVisible());
  assert.ok(!(await page.locator("#transcript").isVisible()));
  await shot(page, "phone-shopper");
  await page.locator(".pane-back a").click();
  assert.ok(await page.locator("#transcript").isVisible());
  await page.context().close();
}

async function withoutJavaScript(browser) {
  const page = await newPage(browser, { javaScriptEnabled: false });
  await page.locator("#list .rows a").first().click();
  await page.locator("#text").fill("Hello.");
  await page.locator("#canned").selectOption({ label: "/returns" });
  await page.locator("button[value=insert]").click();
  assert.match(await page.locator("#text").inputValue(), /^Hello\.\nYou can return unworn boots/);
  await page.locator("#tag").fill("boots");
  await page.locator("#care .line button", { hasText: "Add" }).click();
  await page.locator("#care .tag", { hasText: "boots" }).waitFor();
  await shot(page, "without-javascript");
  await page.context().close();
}

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
try {
  await byKeyboard(browser);
  await readyAnswers(browser);
  await threePanes(browser, {}, "wide");
  await threePanes(browser, { colorScheme: "dark", locale: "zh-CN" }, "wide-dark-chinese");
  await onAPhone(browser);
  await withoutJavaScript(browser);
  assert.deepEqual(problems, []);
} finally {
  await browser.close();
}

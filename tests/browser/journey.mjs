// A merchant's whole way, from the set-up link to a corrected answer, by keyboard and on a phone. Started by
// tests/shop/journey.rs on an empty shop of the real program without a chat model.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const { SHOPTALK_BIN, SHOP_CONFIG, CHROMIUM, SHOTS } = process.env;
const PASSWORD = "correct horse battery";
const OWNER = "owner@shop.example";
const CORRECTED = "Boots go back within sixty days, and the label is free.";
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true };

const problems = [];
let origin;
let child;

/** Starts the program; returns the set-up link that it prints. */
async function start() {
  child = spawn(SHOPTALK_BIN, ["serve", "--config", SHOP_CONFIG], { stdio: ["ignore", "pipe", "pipe"] });
  const lines = [child.stdout, child.stderr].map((input) => createInterface({ input }));
  return new Promise((resolve, reject) => {
    child.once("exit", () => reject(new Error("the server stopped before it was ready")));
    for (const reader of lines) {
      reader.on("line", (line) => {
        const link = line.match(/http:\S+\/console\/setup\?token=\S+/)?.[0];
        if (link) resolve(link);
      });
    }
  });
}

/** Runs in every page before its own scripts: says when a text of somebody else was run as code. */
function watchForCode() {
  for (const name of ["alert", "confirm", "prompt", "print"]) window[name] = () => console.error(`code ran: ${name}`);
  document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
}

async function newPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, locale: "en-GB", ...options });
  await context.addInitScript(watchForCode);
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const blame = (what) => problems.push(`${page.url()}: ${what}`);
  page.on("pageerror", blame);
  page.on("dialog", (dialog) => {
    blame(`dialog ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("popup", () => blame("a window opened"));
  page.on("console", (message) => {
    const isAboutCode = /code ran|policy violated|Content Security Policy|script/i.test(message.text());
    if (message.type() === "error" && isAboutCode) blame(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(`${origin}/`)) blame(`asked for ${request.url()}`);
  });
  return page;
}

async function shot(page, name) {
  if (!SHOTS) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: `${SHOTS}/${name}.png` });
}

async function logIn(page, email = OWNER) {
  await page.goto(`${origin}/console/login`);
  await page.locator("input[name=email]").fill(email);
  await page.locator("input[name=password]").fill(PASSWORD);
  await page.locator("input[name=password]").press("Enter");
  await page.waitForURL((url) => url.pathname === "/console");
}

// The merchant's way ----------------------------------------------------------------------------------------------------

/** Reaches a control with Tab, sees that its focus shows, and presses Enter. */
async function byKeyboard(page, control) {
  await control.waitFor();
  const isThere = () => control.evaluate((node) => node.getRootNode().activeElement === node);
  for (let presses = 0; !(await isThere()); presses++) {
    assert.ok(presses < 150, `Tab never reaches ${control}`);
    await page.keyboard.press("Tab");
  }
  const shows = await control.evaluate((node) => {
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(node);
    return (outlineStyle !== "none" && outlineWidth !== "0px") || boxShadow !== "none";
  });
  assert.ok(shows, `the focus of ${control} does not show`);
  await page.keyboard.press("Enter");
}

const byPointer = (_, control) => control.click();

async function setUp(browser, link) {
  const page = await newPage(browser);
  await page.goto(link);
  await page.locator("#name").fill("Ana");
  await page.locator("#email").fill(OWNER);
  await page.locator("#password").fill(PASSWORD);
  await page.locator("#password-again").fill(PASSWORD);
  await byKeyboard(page, page.locator("main button.primary"));
  await page.waitForURL((url) => url.pathname !== "/console/setup");
  await page.context().close();
}

/** Drops files of these names and texts on the upload form. */
async function drop(page, files) {
  const dropped = await page.evaluateHandle((files) => {
    const transfer = new DataTransfer();
    for (const [name, text] of files) transfer.items.add(new File([text], name));
    return transfer;
  }, files);
  await page.locator(".drop").dispatchEvent("drop", { dataTransfer: dropped });
}

async function journey(browser, { name, options, act, question, corrected }) {
  const page = await newPage(browser, options);
  // A page that is still on its way would take back what is pressed on the one before.
  const submit = (control) => Promise.all([page.waitForNavigation(), act(page, control)]);
  await logIn(page);
  await page.goto(`${origin}/console/documents`);
  await drop(page, [
    [`returns-${name}.md`, `# Returns\n\n## ${question}\n\nBoots can be returned within thirty days.\n`],
    [`delivery-${name}.md`, "# Delivery\n\n## How long does delivery take?\n\nDelivery takes two working days.\n"],
  ]);
  assert.equal(await page.locator(".chosen li").count(), 2);
  await act(page, page.locator(".upload button.primary"));
  await page.locator(".results li.good").nth(1).waitFor();
  await act(page, page.locator(".results a[href*='/drafts/']").first());
  await page.getByText("within thirty days").first().waitFor();
  await act(page, page.locator("button[value=publish]"));
  await page.waitForURL((url) => !url.pathname.includes("/drafts/"));
  await page.goto(`${origin}/console/documents`);
  await act(page, page.locator(".drafts button[value=publish]"));
  await page.locator(".drafts").waitFor({ state: "detached" });

  await page.goto(`${origin}/console/conversations`);
  const rows = page.locator("#list .rows a");
  const before = await rows.count();
  const shopper = await newPage(browser, options);
  await shopper.goto(`${origin}/`);
  await act(shopper, shopper.locator("shoptalk-widget .launcher"));
  const ask = async (text) => {
    await shopper.locator("shoptalk-widget textarea").fill(text);
    await shopper.locator("shoptalk-widget textarea").press("Enter");
  };
  await ask(question);
  await shopper.locator("shoptalk-widget .message.bot").first().waitFor();
  await rows.nth(before).waitFor({ timeout: 5000 });
  await submit(rows.first());
  await submit(page.locator("button[value=take]"));
  await page.locator("#text").fill("Hello, this is Ana.");
  await submit(page.locator("#reply button[value=reply]"));
  await shopper.locator("shoptalk-widget .message.staff", { hasText: "this is Ana" }).waitFor();
  await submit(page.locator("button[value=return]"));
  await submit(page.locator(".wrong a[href*='/correct']").first());
  await page.locator("#question").fill(question);
  await page.locator("#answer").fill(corrected);
  await submit(page.locator("button[value=answer]"));
  // The correction is live some moments after it was saved.
  const answered = shopper.locator("shoptalk-widget .message.bot", { hasText: corrected });
  for (const end = Date.now() + 120_000; (await answered.count()) === 0; ) {
    const said = await shopper.locator("shoptalk-widget .message").allInnerTexts();
    assert.ok(Date.now() < end, `the corrected answer did not come: ${JSON.stringify(said)}`);
    await ask(question);
    await shopper.waitForTimeout(3000);
  }
  await shot(shopper, `journey-${name}`);
  await shopper.context().close();
  await page.context().close();
}

async function timed(name, step) {
  const before = Date.now();
  await step();
  console.log(`ok: ${name}, ${((Date.now() - before) / 1000).toFixed(1)} s`);
}

const link = await start();
origin = new URL(link).origin;
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
try {
  await timed("set-up", () => setUp(browser, link));
  const wide = { name: "keyboard", options: {}, act: byKeyboard, question: "How long can I return boots?", corrected: CORRECTED };
  await timed("journey by keyboard", () => journey(browser, wide));
  const phone = { name: "phone", options: PHONE, act: byPointer, question: "What happens to worn sandals?", corrected: "Worn sandals are repaired for free." };
  await timed("journey on a phone", () => journey(browser, phone));
  assert.deepEqual(problems, []);
} finally {
  await browser.close();
  child.removeAllListeners("exit");
  child.kill("SIGKILL");
}

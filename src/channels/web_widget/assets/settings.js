// What the merchant chose in the console (SETTINGS) and with data- attributes on the script tag, which count more, and what
// follows from it: server, language, colours.

const SCRIPT = document.currentScript ?? document.querySelector('script[src*="/widget.js"]');
const SERVER = new URL(".", SCRIPT.src);
/** Characters of one message; the server reads more, but nobody answers a longer one well. */
const TEXT_CHARS_MAX = 4000;

const LANGUAGE = chooseLanguage();
const T = TEXTS[LANGUAGE];
/** For times and numbers: the browser's own country where it speaks this language. */
const LOCALE = navigator.languages?.find((tag) => tag.toLowerCase().split("-")[0] === LANGUAGE) ?? LANGUAGE;

const OPTIONS = {
  color: parseColor(SCRIPT.dataset.color) ?? parseColor(SETTINGS.colour),
  left: (SCRIPT.dataset.position ?? SETTINGS.position) === "left",
  greeting: SCRIPT.dataset.greeting,
  open: SCRIPT.dataset.open === "true",
  theme: SCRIPT.dataset.theme,
  productUrl: SCRIPT.dataset.productUrl,
  /** In the console: it shows what it would look like and talks to nobody. */
  preview: SCRIPT.dataset.preview === "true",
};

function chooseLanguage() {
  const wanted = [SCRIPT.dataset.language, ...(navigator.languages ?? [navigator.language])];
  // The preview shows a language also before it is offered.
  const offered = SCRIPT.dataset.preview === "true" ? Object.keys(TEXTS) : SETTINGS.languages;
  const known = wanted.map((tag) => String(tag ?? "").toLowerCase().split("-")[0]).find((tag) => offered.includes(tag));
  return known ?? offered[0];
}

/** An address on the server this script came from. */
function serverAddress(path) {
  return new URL(path.replace(/^\//, ""), SERVER).href;
}

/** `text` as an address when it is http or https; everything else, such as `javascript:`, is undefined. */
function webAddress(text, base = document.baseURI) {
  try {
    const url = new URL(text, base);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : undefined;
  } catch {
    return undefined;
  }
}

/** The page of a product, when the merchant said where products are. */
function productAddress(sku) {
  if (!OPTIONS.productUrl) return undefined;
  return webAddress(OPTIONS.productUrl.replaceAll("{sku}", encodeURIComponent(sku)));
}

/** Any CSS colour as [red, green, blue] from 0 to 255. */
function parseColor(text) {
  if (!text || !CSS.supports("color", text)) return undefined;
  const probe = document.createElement("span");
  // Important, because the page may colour every element of its own that way.
  probe.style.setProperty("color", text, "important");
  document.documentElement.append(probe);
  const parts = getComputedStyle(probe).color.match(/[\d.]+/g);
  probe.remove();
  return parts && parts.length >= 3 ? parts.slice(0, 3).map(Number) : undefined;
}

/** Relative luminance (WCAG 2). */
function luminance(color) {
  const [r, g, b] = color.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Contrast of two colours (WCAG 2), 1 to 21. */
function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/** `color`, moved towards black or white until it can be read on `background` (contrast 4.5). */
function readableOn(color, background) {
  const target = luminance(background) > 0.3 ? [0, 0, 0] : [255, 255, 255];
  for (let share = 0; share <= 1; share += 0.05) {
    const mixed = color.map((value, i) => Math.round(value + (target[i] - value) * share));
    if (contrast(mixed, background) >= 4.5) return mixed;
  }
  return target;
}

/** The merchant's colour as CSS variables for a light or dark panel. */
function colorVariables(dark) {
  const white = [255, 255, 255];
  const ink = [17, 24, 39];
  const black = [0, 0, 0];
  // Black can be read wherever white cannot; ink is kinder to the eye where it will do.
  const on = [white, ink].find((text) => contrast(OPTIONS.color, text) >= 4.5) ?? black;
  const accent = readableOn(OPTIONS.color, dark ? [24, 28, 35] : white);
  const css = (color) => `rgb(${color.join(" ")})`;
  return { "--brand": css(OPTIONS.color), "--on-brand": css(on), "--accent": css(accent) };
}

// What the pages gain with JavaScript: live updates, local times, files by drag and drop. All of them work without it.
"use strict";

(() => {
  const REFRESH_PAUSE_MS = 250;
  const ELSEWHERE_PAUSE_MS = 3000;
  const REFRESH_EVERY_MS = 30000;
  const WRITES_FOR_MS = 7000;

  // Times -------------------------------------------------------------------------------------------------------------

  function showLocalTimes(root) {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (!Number.isNaN(at.getTime())) {
        if ("absolute" in time.dataset) time.textContent = at.toLocaleString(document.documentElement.lang);
        time.title = at.toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
      }
    }
  }

  // Live updates: the page is read again, and what is marked with data-live is put in its place. ----------------------

  const liveParts = () => document.querySelectorAll("[data-live][id]");
  const conversation = document.querySelector("[data-chat]");
  const shown = new Map(Array.from(liveParts(), (part) => [part.id, part.innerHTML]));

  // On a wide screen the conversation scrolls by itself, on a phone the page does.
  function scroller() {
    const scrolls = conversation && getComputedStyle(conversation).overflowY === "auto";
    return scrolls ? conversation : document.documentElement;
  }

  function atEnd() {
    const { scrollTop, clientHeight, scrollHeight } = scroller();
    return scrollTop + clientHeight >= scrollHeight - 80;
  }

  function scrollToEnd() {
    scroller().scrollTop = scroller().scrollHeight;
  }

  function replacePart(part, html) {
    const open = Array.from(part.querySelectorAll("details[open][id]"), (details) => details.id);
    const known = new Set(Array.from(part.querySelectorAll("li[id]"), (item) => item.id));
    // What somebody is choosing or typing stays as it is until they are done.
    if (part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) return false;
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    const focusedPlace = focused ? Array.from(part.querySelectorAll("a, button, summary")).indexOf(focused) : -1;
    part.innerHTML = html;
    for (const id of open) {
      const details = document.getElementById(id);
      if (details) details.open = true;
    }
    if (known.size > 0) {
      for (const item of part.querySelectorAll("li[id]")) item.classList.toggle("new", !known.has(item.id));
    }
    if (focusedPlace >= 0) part.querySelectorAll("a, button, summary")[focusedPlace]?.focus();
    showLocalTimes(part);
    showScripted(part);
    return true;
  }

  async function refresh() {
    if (document.hidden) return;
    const response = await fetch(location.href, { headers: { accept: "text/html" } }).catch(() => null);
    if (!response) return;
    if (response.redirected) {
      location.reload();
      return;
    }
    if (!response.ok) return;
    // DOMParser runs no scripts, and the page comes from our own server with everything in it escaped.
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    const follow = conversation && atEnd();
    const heard = newest();
    for (const part of liveParts()) {
      const html = fresh.getElementById(part.id)?.innerHTML;
      if (html === undefined || html === shown.get(part.id)) continue;
      if (replacePart(part, html)) shown.set(part.id, html);
    }
    document.title = fresh.title;
    if (newest() > heard) ring();
    if (follow) scrollToEnd();
  }

  let pending = null;
  let pendingAt = Infinity;
  function refreshSoon(pause = REFRESH_PAUSE_MS) {
    const at = Date.now() + pause;
    if (at >= pendingAt) return;
    clearTimeout(pending);
    pendingAt = at;
    pending = setTimeout(() => {
      pendingAt = Infinity;
      refresh();
    }, pause);
  }

  // News of this chat shows at once; other chats only change the list.
  function hear(event) {
    const { type, channel, chat } = JSON.parse(event.data);
    const { dataset } = conversation ?? {};
    const isHere = dataset && dataset.chat === chat && dataset.channel === channel;
    if (type === "writes") {
      if (isHere) showWrites();
      return;
    }
    const elsewhere = dataset && type === "changed" && !isHere;
    if (isHere) hideWrites();
    refreshSoon(elsewhere ? ELSEWHERE_PAUSE_MS : REFRESH_PAUSE_MS);
  }

  let stream = null;
  function watch() {
    stream = new EventSource("/console/live");
    stream.onmessage = hear;
  }

  function followVisibility() {
    if (document.hidden) {
      stream?.close();
      stream = null;
    } else if (!stream) {
      watch();
      refreshSoon();
    }
  }

  // On other pages only the count of those that wait could change; that is not worth reading them again.
  if (liveParts().length > 1 || conversation) {
    watch();
    document.addEventListener("visibilitychange", followVisibility);
    setInterval(() => refreshSoon(), REFRESH_EVERY_MS);
    window.addEventListener("pagehide", () => stream?.close());
  }

  // The shopper is writing --------------------------------------------------------------------------------------------

  const writes = document.getElementById("writes");
  let writesEnd = null;

  function hideWrites() {
    clearTimeout(writesEnd);
    if (writes) writes.textContent = "";
  }

  function showWrites() {
    clearTimeout(writesEnd);
    if (!writes) return;
    writes.textContent = writes.dataset.text;
    writesEnd = setTimeout(hideWrites, WRITES_FOR_MS);
  }

  // A sound on new messages -------------------------------------------------------------------------------------------

  const SOUND_KEY = "shoptalk-console-sound";
  const wantsSound = () => localStorage.getItem(SOUND_KEY) !== "off";

  /** Grows with each message of a shopper: what is unread in the list, and the last one in the open conversation. */
  function newest() {
    const unread = Array.from(document.querySelectorAll(".new-count [aria-hidden]"), (count) => Number(count.textContent));
    const said = document.querySelectorAll("#transcript > .shopper").length;
    return unread.reduce((sum, count) => sum + count, said);
  }

  function ring() {
    if (!wantsSound()) return;
    const audio = new AudioContext();
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.frequency.value = 660;
    volume.gain.setValueAtTime(0.08, audio.currentTime);
    volume.gain.exponentialRampToValueAtTime(0.0001, audio.currentTime + 0.35);
    tone.connect(volume).connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.35);
    tone.onended = () => audio.close();
  }

  // What only works with a script, and what is only said without one.
  function showScripted(root) {
    for (const part of root.querySelectorAll("[data-scripted]")) part.hidden = false;
    for (const part of root.querySelectorAll("[data-unscripted]")) part.hidden = true;
    for (const part of root.querySelectorAll("[data-offset]")) part.value = new Date().getTimezoneOffset();
    for (const part of root.querySelectorAll("[data-sound]")) part.checked = wantsSound();
  }

  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-sound]")) return;
    localStorage.setItem(SOUND_KEY, event.target.checked ? "on" : "off");
    ring();
  });

  // Keyboard ----------------------------------------------------------------------------------------------------------

  const help = document.getElementById("help");

  function openBeside(step) {
    const rows = Array.from(document.querySelectorAll("#list .rows a"));
    const open = rows.findIndex((row) => row.hasAttribute("aria-current"));
    const next = open < 0 ? rows[step > 0 ? 0 : rows.length - 1] : rows[open + step];
    if (next) location.assign(next.href);
  }

  function writeReply(kind) {
    const text = document.querySelector("form.reply textarea");
    if (!text) return;
    text.focus();
    document.querySelector('form.reply button[value="note"]').classList.toggle("primary", kind === "note");
    document.querySelector('form.reply button[value="reply"]').classList.toggle("primary", kind !== "note");
  }

  const KEYS = {
    j: () => openBeside(1),
    k: () => openBeside(-1),
    r: () => writeReply("reply"),
    n: () => writeReply("note"),
    "/": () => document.getElementById("q")?.focus(),
    "?": () => help?.showModal(),
  };

  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || help?.open) return;
    const act = help && KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-help]")) help?.showModal();
    if (event.target.closest("[data-print]")) window.print();
  });

  // The reply box -----------------------------------------------------------------------------------------------------

  const reply = document.querySelector("form.reply");
  if (reply) {
    const text = reply.querySelector("textarea");
    text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        reply.requestSubmit(reply.querySelector(".reply-foot .primary"));
      }
    });
    offerReady(text);
    if (location.hash === "#reply" || !location.hash) scrollToEnd();
  }

  /** Offers the ready answers whose short name goes on as what stands behind the last "/". */
  function offerReady(text) {
    const list = document.getElementById("ready");
    const all = Array.from(document.querySelectorAll("#canned option"), ({ dataset }) => ({ ...dataset }));
    if (all.length === 0) return;
    let found = [];
    let chosen = 0;
    text.setAttribute("aria-controls", "ready");

    const before = () => text.value.slice(0, text.selectionStart);
    const asked = () => before().match(/(?:^|\s)\/([\p{L}\p{N}_-]*)$/u);

    function draw() {
      list.replaceChildren(
        ...found.map(({ name, text: words }, at) => {
          const item = document.createElement("li");
          item.id = `ready-${at}`;
          item.setAttribute("role", "option");
          item.setAttribute("aria-selected", String(at === chosen));
          const strong = document.createElement("strong");
          strong.textContent = `/${name}`;
          item.append(strong, ` ${words}`);
          item.addEventListener("mousedown", (event) => {
            event.preventDefault();
            put(at);
          });
          return item;
        }),
      );
      list.hidden = found.length === 0;
      if (list.hidden) text.removeAttribute("aria-activedescendant");
      else text.setAttribute("aria-activedescendant", `ready-${chosen}`);
    }

    function look() {
      const match = asked();
      const name = match?.[1].toLowerCase();
      found = match ? all.filter((ready) => ready.name.startsWith(name)) : [];
      chosen = 0;
      draw();
    }

    function put(at) {
      const from = before().length - asked()[1].length - 1;
      text.setRangeText(found[at].text, from, text.selectionStart, "end");
      found = [];
      draw();
    }

    text.addEventListener("input", look);
    text.addEventListener("blur", () => {
      found = [];
      draw();
    });
    text.addEventListener("keydown", (event) => {
      if (found.length === 0 || event.isComposing || event.ctrlKey || event.metaKey) return;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        chosen = (chosen + (event.key === "ArrowDown" ? 1 : -1) + found.length) % found.length;
        draw();
      } else if (event.key === "Enter" || event.key === "Tab") {
        put(chosen);
      } else if (event.key === "Escape") {
        found = [];
        draw();
      } else {
        return;
      }
      event.preventDefault();
    });
  }

  // The widget's settings: the preview and the words about contrast follow what is typed --------------------------------

  const widgetForm = document.getElementById("widget-form");
  if (widgetForm) followWidgetForm(widgetForm);

  /** Contrast of a colour (six digits) with white or black: that of the one which is shown on it, as the server counts. */
  function textOn(colour) {
    const [red, green, blue] = [1, 3, 5].map((at) => {
      const part = parseInt(colour.slice(at, at + 2), 16) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    const white = 1.05 / (luminance + 0.05);
    return white >= 4.5 ? { text: "white", ratio: white } : { text: "black", ratio: (luminance + 0.05) / 0.05 };
  }

  function followWidgetForm(form) {
    const frame = document.getElementById("widget-preview");
    const picker = document.getElementById("colour-picker");
    const colourField = form.elements.namedItem("colour");
    const value = (name) => form.elements.namedItem(name).value;
    let language = document.documentElement.lang.startsWith("zh") ? "zh" : "en";

    /** The colour in six digits; undefined while it is not one. */
    function colour() {
      const digits = colourField.value.trim().match(/^#([\da-f]{3}|[\da-f]{6})$/i)?.[1];
      return digits && `#${digits.length === 3 ? digits.replace(/./g, "$&$&") : digits}`.toLowerCase();
    }

    function show() {
      const now = colour();
      colourField.setAttribute("aria-invalid", String(!now));
      if (now) {
        const { text, ratio } = textOn(now);
        picker.value = now;
        document.getElementById("swatch-paper").setAttribute("fill", now);
        document.getElementById("swatch-text").setAttribute("fill", text);
        document.getElementById("contrast").textContent = form.dataset[text].replace("{ratio}", ratio.toFixed(1));
      }
      const questions = value(`questions_${language}`).split("\n").map((line) => line.trim());
      frame.contentWindow?.Shoptalk?.show?.({
        name: form.dataset.name,
        colour: now,
        position: value("position"),
        greeting: value(`greeting_${language}`).trim(),
        questions: questions.filter(Boolean),
      });
    }

    function showLanguage(chosen) {
      language = chosen;
      for (const link of document.querySelectorAll("[data-preview]")) {
        link.toggleAttribute("aria-current", false);
        if (link.dataset.preview === chosen) link.setAttribute("aria-current", "true");
      }
    }

    picker.addEventListener("input", () => {
      colourField.value = picker.value;
      show();
    });
    form.addEventListener("input", show);
    // Whoever writes in a language sees it.
    form.addEventListener("focusin", ({ target }) => {
      const wanted = target.name?.match(/^(?:greeting|questions)_(en|zh)$/)?.[1];
      if (wanted && wanted !== language) document.querySelector(`[data-preview=${wanted}]`).click();
    });
    for (const link of document.querySelectorAll("[data-preview]")) {
      link.addEventListener("click", () => showLanguage(link.dataset.preview));
    }
    // The widget starts a moment after its page; a frame that was there before this script has loaded already.
    frame.addEventListener("load", show);
    show();
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const field = document.getElementById(button.dataset.copy);
    field.select();
    // Without TLS browsers have no clipboard; what is selected can then be copied by hand.
    await navigator.clipboard?.writeText(field.value);
    if (navigator.clipboard) document.getElementById("copied").textContent = button.dataset.copied;
    if (navigator.clipboard) button.textContent = button.dataset.copied;
  });

  // A form is sent once; the browser's "back" brings its buttons back to life.
  for (const form of document.querySelectorAll('form[method="post"]')) {
    form.addEventListener("submit", () => {
      setTimeout(() => {
        for (const button of form.querySelectorAll("button")) button.disabled = true;
      });
    });
  }
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const button of document.querySelectorAll("button:disabled")) button.disabled = false;
  });

  // Upload ------------------------------------------------------------------------------------------------------------

  const upload = document.querySelector("form.upload");
  if (upload) {
    const drop = upload.querySelector(".drop");
    const input = upload.querySelector("input[type=file]");
    const chosen = upload.querySelector(".chosen");
    const busy = upload.querySelector(".busy");

    const showChosen = () => {
      const names = Array.from(input.files, (file) => {
        const item = document.createElement("li");
        item.textContent = file.name;
        return item;
      });
      chosen.replaceChildren(...(names.length > 1 ? names : []));
    };

    input.addEventListener("change", showChosen);
    for (const type of ["dragover", "dragenter"]) {
      drop.addEventListener(type, (event) => {
        event.preventDefault();
        drop.classList.add("over");
      });
    }
    drop.addEventListener("dragleave", (event) => {
      if (!drop.contains(event.relatedTarget)) drop.classList.remove("over");
    });
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      if (event.dataTransfer.files.length > 0) {
        input.files = event.dataTransfer.files;
        showChosen();
      }
    });
    upload.addEventListener("submit", () => {
      busy.textContent = upload.dataset.busy;
      busy.hidden = false;
    });
  }

  document.querySelector("#list a[aria-current=true]")?.scrollIntoView({ block: "nearest" });
  showLocalTimes(document);
  showScripted(document);
})();

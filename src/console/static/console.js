// What the pages gain with JavaScript: live updates, local times, files by drag and drop. All of them work without it.
"use strict";

(() => {
  const REFRESH_PAUSE_MS = 250;
  const ELSEWHERE_PAUSE_MS = 3000;
  const REFRESH_EVERY_MS = 30000;

  // Times -------------------------------------------------------------------------------------------------------------

  function showLocalTimes(root) {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (!Number.isNaN(at.getTime())) {
        time.title = at.toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
      }
    }
  }

  // Live updates: the page is read again, and what is marked with data-live is put in its place. ----------------------

  const liveParts = () => document.querySelectorAll("[data-live][id]");
  const conversation = document.querySelector("[data-chat]");
  const shown = new Map(Array.from(liveParts(), (part) => [part.id, part.innerHTML]));

  function atEnd() {
    return window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 80;
  }

  function scrollToEnd() {
    window.scrollTo(0, document.documentElement.scrollHeight);
  }

  function replacePart(part, html) {
    const open = Array.from(part.querySelectorAll("details[open][id]"), (details) => details.id);
    const known = new Set(Array.from(part.querySelectorAll("li[id]"), (item) => item.id));
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
    for (const part of liveParts()) {
      const html = fresh.getElementById(part.id)?.innerHTML;
      if (html === undefined || html === shown.get(part.id)) continue;
      replacePart(part, html);
      shown.set(part.id, html);
    }
    document.title = fresh.title;
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

  // News of this chat shows at once; other chats only change the count of those that wait.
  function hear(event) {
    const { type, channel, chat } = JSON.parse(event.data);
    const { dataset } = conversation ?? {};
    const elsewhere = dataset && type === "changed" && (dataset.chat !== chat || dataset.channel !== channel);
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

  // The reply box -----------------------------------------------------------------------------------------------------

  const reply = document.querySelector("form.reply");
  if (reply) {
    const text = reply.querySelector("textarea");
    text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        reply.requestSubmit();
      }
    });
    if (location.hash === "#reply" || !location.hash) scrollToEnd();
  }

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

  showLocalTimes(document);
})();

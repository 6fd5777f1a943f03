// Keeps the first page fresh. Without it the page is whole, and one reloads it.
"use strict";
(() => {
  const live = document.getElementById("live");
  if (!live || !window.fetch || !window.DOMParser) return;
  const every = Number(live.dataset.every) * 1000;
  let paused = false, failures = 0;

  const bar = document.createElement("p");
  bar.className = "live";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "plain";
  button.textContent = live.dataset.pause;
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? live.dataset.resume : live.dataset.pause;
  });
  const stale = document.createElement("span");
  stale.setAttribute("role", "status");
  bar.append(button, stale);
  live.before(bar);

  // Who reads, selects or has the keyboard in it is not disturbed.
  const busy = () => paused || document.hidden || live.contains(document.activeElement) ||
    !document.getSelection().isCollapsed || live.querySelector("details[open]");

  const update = async () => {
    if (!busy()) {
      try {
        const reply = await fetch(location.href, { signal: AbortSignal.timeout(15000) });
        if (!reply.ok) throw new Error(String(reply.status));
        const page = new DOMParser().parseFromString(await reply.text(), "text/html");
        const next = page.getElementById("live"), foot = page.querySelector("footer time");
        if (!next) throw new Error("no page");
        if (!busy()) {
          live.replaceChildren(...next.childNodes);
          document.querySelector("footer time").replaceWith(foot);
        }
        failures = 0;
        stale.textContent = "";
      } catch {
        failures++;
        if (failures > 1) stale.textContent = live.dataset.stale;
      }
    }
    setTimeout(update, every * Math.min(6, failures + 1));
  };
  setTimeout(update, every);
})();

// Keeps a page fresh that somebody leaves open all day: asks for the same page again and puts in the parts marked
// `data-fresh`. The server renders everything; without JavaScript the page is the same and stands still.
// A part in which somebody is typing is left alone; the title's count follows, so that a tab in the background tells.
"use strict";
(() => {
  const word = document.getElementById("live-word");
  if (!word) return;
  const POLL_MS = Number(word.dataset.poll) || 15000;
  const BEHIND_MS = 60000;
  let last = Date.now();
  let busy = false;

  const say = (isOn) => {
    word.className = isOn ? "on" : "off";
    const told = isOn ? word.dataset.liveWord : word.dataset.lostWord;
    if (word.textContent !== told) word.textContent = told;
  };
  const isTouched = (part) => [...part.querySelectorAll("input, textarea, select")].some((field) =>
    field === document.activeElement || (field.type !== "hidden" && field.defaultValue !== undefined && field.value !== field.defaultValue));
  const put = (part, newer) => {
    if (!newer || part.innerHTML === newer.innerHTML || isTouched(part)) return;
    const held = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    part.replaceChildren(...newer.childNodes);
    const link = held && [...part.querySelectorAll("a[href]")].find((one) => one.getAttribute("href") === held);
    if (link) link.focus({ preventScroll: true });
  };
  const look = async () => {
    const answer = await fetch(location.href, { cache: "no-cache" });
    // A session that ended leads to the login page: that is no news of the fleet.
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-fresh]")) put(part, page.getElementById(part.id));
    document.title = page.title;
  };
  const turn = async () => {
    if (busy || (document.hidden && Date.now() - last < BEHIND_MS)) return;
    busy = true;
    try {
      await look();
      say(true);
    } catch {
      say(false);
    }
    last = Date.now();
    busy = false;
  };
  say(true);
  setInterval(turn, POLL_MS);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) turn(); });
})();

// Asks again and again (each second in a demonstration) whether the ledger has new rows; if so, fetches the changing part of the page and puts it in.
// The server renders everything, so what is shown live and what is shown without JavaScript are the same.
"use strict";
(() => {
  const box = document.querySelector("[data-feed]");
  const word = document.getElementById("live-word");
  if (!box || !word) return;
  const POLL_MS = Number(box.dataset.poll) || 10000;
  const REFRESH_MS = 15000;
  let last = Number(box.dataset.last);
  let refreshed = Date.now();

  const say = (isOn) => {
    word.className = isOn ? "on" : "off";
    const text = isOn ? word.dataset.liveWord : word.dataset.lostWord;
    if (word.textContent !== text) word.textContent = text;
  };
  const get = async (url) => {
    const answer = await fetch(url, { headers: { Accept: "*/*" }, cache: "no-cache" });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer;
  };
  const putIn = (html, before) => {
    const parsed = new DOMParser().parseFromString(html, "text/html");
    for (const part of parsed.querySelectorAll("[data-into]")) {
      for (const row of part.querySelectorAll("[data-n]")) {
        if (Number(row.dataset.n) > before) row.classList.add("fresh");
      }
      const target = document.getElementById(part.dataset.into);
      if (target) target.replaceChildren(...part.childNodes);
    }
    document.dispatchEvent(new Event("dosong:new"));
  };
  const look = async () => {
    const feed = await (await get(`${box.dataset.feed}${box.dataset.feed.includes("?") ? "&" : "?"}after=${last}`)).json();
    const isNew = feed.samples.length > 0;
    if (isNew || Date.now() - refreshed > REFRESH_MS) {
      putIn(await (await get(box.dataset.part)).text(), last);
      refreshed = Date.now();
    }
    // A ledger that was restored starts lower: follow it instead of waiting for numbers that will not come.
    last = feed.last_n;
  };
  const turn = async () => {
    try {
      if (!document.hidden) await look();
      say(true);
    } catch {
      say(false);
    }
    setTimeout(turn, POLL_MS);
  };
  turn();
})();

"use strict";
// Fetches what changes each second; without it the page refreshes itself every three.
(() => {
  const path = `/${document.documentElement.lang}/live`;
  const places = ["live", "thumb"].map((id) => document.getElementById(id));
  const put = (place, fresh) => {
    if (fresh && place.innerHTML !== fresh.innerHTML) place.replaceChildren(...fresh.childNodes);
  };
  const look = async () => {
    const started = Date.now();
    try {
      const answer = await fetch(path, { cache: "no-store", credentials: "same-origin", redirect: "error" });
      if (answer.status === 401) return location.reload();
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const place of places) put(place, fresh.getElementById(place.id));
      document.body.classList.remove("away");
    } catch {
      document.body.classList.add("away");
    }
    setTimeout(look, Math.max(200, 1000 - (Date.now() - started)));
  };
  setTimeout(look, 1000);
})();

// The live board: keeps the list fresh by conditional requests, and draws the map from the list's own rows.
// Outlines come from a file of ours; no tiles, no outside request. Names are always set as text, never as HTML.
"use strict";
(() => {
  const list = document.getElementById("board-list");
  const word = document.getElementById("live-word");
  if (!list) return;
  const POLL_MS = 15000;
  const COLOURS = { c0: "#d33f4f", c1: "#f96a48", c2: "#ffaa64", c3: "#abe09a", c4: "#63c1a6", c5: "#2b8ac4", few: "#d3d3d3" };
  const SVG = "http://www.w3.org/2000/svg";
  const SHAPES = {
    good: ["circle", { cx: 12, cy: 12, r: 9 }],
    weak: ["path", { d: "M12 2 22 21H2z" }],
    bad: ["rect", { x: 3, y: 3, width: 18, height: 18 }],
    none: ["path", { d: "M12 1.5 22.5 12 12 22.5 1.5 12z" }],
  };
  const box = document.getElementById("board");
  const rows = () => [...list.querySelectorAll("tr[data-code]")].map((row) => ({
    ...row.dataset,
    name: row.querySelector("a").textContent,
    href: row.querySelector("a").href,
    at: row.dataset.lat ? [Number(row.dataset.lat), Number(row.dataset.lon)] : null,
  }));
  const text = (tag, content, name) => {
    const node = document.createElement(tag);
    node.textContent = content;
    if (name) node.className = name;
    return node;
  };
  let map;
  let layer;
  let outlines = null;
  const rings = (packed) => packed.map((ring) => {
    let [lat, lon] = ring;
    const line = [[lat / 1000, lon / 1000]];
    for (let i = 2; i < ring.length; i += 2) {
      lat += ring[i];
      lon += ring[i + 1];
      line.push([lat / 1000, lon / 1000]);
    }
    return [line];
  });
  const says = (row) => {
    const node = document.createElement("div");
    node.append(text("b", row.name), text("div", row.words));
    if (row.now) node.append(text("div", row.now));
    return node;
  };
  const go = (row) => () => { location.href = row.href; };
  const circle = (row) => L.circleMarker(row.at, { radius: 9, color: "#16202b", weight: 1, fillColor: COLOURS[row.tone], fillOpacity: 0.95 });
  const pin = (row) => {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("width", "24");
    svg.setAttribute("height", "24");
    const [tag, attributes] = SHAPES[row.state];
    const drawn = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries({ ...attributes, class: `shape ${row.state}` })) drawn.setAttribute(key, value);
    svg.append(drawn);
    const node = document.createElement("div");
    node.append(svg);
    return L.marker(row.at, { icon: L.divIcon({ html: node, className: "", iconSize: [24, 24], iconAnchor: [12, 12] }), keyboard: false });
  };
  const names = (at, content, name) => L.marker(at, { icon: L.divIcon({ html: text("div", content, name), className: "", iconSize: [0, 0] }), interactive: false, keyboard: false });
  const drawRows = () => {
    layer.clearLayers();
    const found = rows();
    const by = new Map(found.map((row) => [row.code, row]));
    if (outlines) {
      for (const [code, packed] of Object.entries(outlines.provinces)) {
        const row = box.dataset.level === "country" ? by.get(code) : null;
        const mine = code === box.dataset.province;
        const shape = L.polygon(rings(packed), {
          color: mine ? "#0b3a5b" : "#7d8f98", weight: mine ? 2 : 0.8, interactive: Boolean(row),
          fillColor: row ? COLOURS[row.tone] : "#fff", fillOpacity: row ? 0.9 : mine ? 0.9 : 0.55,
        }).addTo(layer);
        if (row) shape.on("click", go(row)).bindTooltip(says(row), { sticky: true });
      }
      for (const spots of Object.values(outlines.islands)) {
        for (const [lat, lon] of spots) L.circleMarker([lat / 1000, lon / 1000], { radius: 2, color: "#56706a", weight: 1, fillOpacity: 1, interactive: false }).addTo(layer);
      }
    }
    names([17.4, 111.9], box.dataset.hoangsa, "region").addTo(layer);
    names([7.1, 113.4], box.dataset.truongsa, "region").addTo(layer);
    for (const row of found) {
      if (!row.at) continue;
      if (box.dataset.level !== "country") {
        (row.state ? pin(row) : circle(row)).on("click", go(row)).bindTooltip(says(row)).addTo(layer);
      }
      const isWide = box.clientWidth > 420;
      if (found.length <= (isWide ? 40 : 12)) names(row.at, isWide ? `${row.name}: ${row.words}` : row.name, "region figure").addTo(layer);
    }
  };
  const fit = () => {
    const spots = rows().filter((row) => row.at).map((row) => row.at);
    if (box.dataset.level === "country") map.fitBounds([[6.4, 102.1], [23.4, 117.2]]);
    else if (box.dataset.level === "province" && outlines && outlines.provinces[box.dataset.province]) map.fitBounds(L.polygon(rings(outlines.provinces[box.dataset.province])).getBounds());
    else if (spots.length) map.fitBounds(spots, { padding: [50, 50], maxZoom: 13 });
    else map.setView([16.2, 106.5], 5);
  };
  const start = async () => {
    if (!box || typeof L === "undefined") return;
    map = L.map(box, { attributionControl: false, zoomSnap: 0.25, minZoom: 4, maxZoom: 16, fadeAnimation: false, zoomAnimation: false, renderer: L.canvas() });
    layer = L.layerGroup().addTo(map);
    L.control.scale({ imperial: false }).addTo(map);
    fit();
    drawRows();
    const answer = await fetch(box.dataset.outlines);
    if (answer.ok) outlines = await answer.json();
    if (box.dataset.own) {
      const own = await fetch(box.dataset.own);
      if (own.ok) L.geoJSON(await own.json(), { style: { color: "#5a6874", weight: 1, fill: false }, interactive: false }).addTo(map);
    }
    fit();
    drawRows();
    map.on("resize", fit);
  };
  const say = (isOn) => {
    if (!word) return;
    word.className = isOn ? "on" : "off";
    const told = isOn ? word.dataset.liveWord : word.dataset.lostWord;
    if (word.textContent !== told) word.textContent = told;
  };
  const look = async () => {
    try {
      if (!document.hidden) {
        // The browser asks with the tag it holds; 304 costs a few hundred bytes and gives the same text again.
        const answer = await fetch(list.dataset.live, { cache: "no-cache" });
        if (!answer.ok) throw new Error(String(answer.status));
        const part = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-into]");
        if (part && part.innerHTML !== list.innerHTML) {
          list.replaceChildren(...part.childNodes);
          if (map) drawRows();
        }
      }
      say(true);
    } catch {
      say(false);
    }
    setTimeout(look, POLL_MS);
  };
  say(true);
  start().catch(() => say(false));
  setTimeout(look, POLL_MS);
})();

// The map: no tiles and no outside request. Own light ground, degree lines, scale, commune names, one pin a hamlet
// with colour, shape, word and n. Names are always set as text, never as HTML.
"use strict";
(() => {
  const box = document.getElementById("map");
  if (!box || typeof L === "undefined") return;
  const WIDE_PX = 480;
  const isVietnamese = document.documentElement.lang === "vi";
  const SVG = "http://www.w3.org/2000/svg";
  const SHAPES = {
    good: ["circle", { cx: 10, cy: 10, r: 8.5 }],
    weak: ["path", { d: "M10 1 19 18.5H1z" }],
    bad: ["rect", { x: 1.5, y: 1.5, width: 17, height: 17 }],
    none: ["path", { d: "M10 .5 19.5 10 10 19.5.5 10z" }],
  };
  const degrees = (e7) => e7 / 1e7;
  const text = (tag, content, name) => {
    const node = document.createElement(tag);
    node.textContent = content;
    if (name) node.className = name;
    return node;
  };
  const shape = (state) => {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("width", "20");
    svg.setAttribute("height", "20");
    const [tag, attributes] = SHAPES[state];
    const drawn = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries({ ...attributes, class: `shape ${state}` })) drawn.setAttribute(key, value);
    svg.append(drawn);
    return svg;
  };
  const pin = (place, side) => {
    const node = document.createElement("div");
    node.className = `pin ${side}`;
    const words = document.createElement("span");
    words.append(text("b", place.name));
    if (isWide()) words.append(text("small", place.word), text("small", `${place.downlink} · n = ${place.n}`));
    node.append(shape(place.state), words);
    return L.divIcon({ html: node, className: "", iconSize: [20, 20], iconAnchor: [10, 10] });
  };
  // On a phone the figures stand in the list below the map; here they would cover each other.
  const isWide = () => box.clientWidth > WIDE_PX;
  // Rectangles (left, top, right, bottom) that hold something already.
  let taken = [];
  const isFree = ([x0, y0, x1, y1]) => x0 >= 0 && y0 >= 0 && x1 <= box.clientWidth && y1 <= box.clientHeight
    && taken.every(([a0, b0, a1, b1]) => x1 <= a0 || x0 >= a1 || y1 <= b0 || y0 >= b1);
  // Gives each pin the first side on which its words cover neither other words, nor a pin, nor the edge.
  const sides = (places) => {
    const at = new Map(places.map((p) => [p.code, map.latLngToContainerPoint([degrees(p.lat_e7), degrees(p.lon_e7)])]));
    taken = [...at.values()].map(({ x, y }) => [x - 10, y - 10, x + 10, y + 10]);
    // Zoom buttons and scale.
    taken.push([0, 0, 52, 80], [0, box.clientHeight - 38, 110, box.clientHeight]);
    return new Map(places.map((place) => {
      const { x, y } = at.get(place.code);
      const width = Math.max(place.name.length, isWide() ? 22 : 0) * (isWide() ? 6.6 : 8.2) + 20;
      const height = isWide() ? 54 : 25;
      const boxes = {
        right: [x + 12, y - height / 2, x + 16 + width, y + height / 2],
        left: [x - 16 - width, y - height / 2, x - 12, y + height / 2],
        above: [x - width / 2, y - 14 - height, x + width / 2, y - 11],
        below: [x - width / 2, y + 11, x + width / 2, y + 14 + height],
      };
      const side = Object.keys(boxes).find((name) => isFree(boxes[name])) ?? "bare";
      if (side !== "bare") taken.push(boxes[side]);
      return [place.code, side];
    }));
  };
  const label = (content, name) => L.divIcon({ html: text("div", content, name), className: "", iconSize: [0, 0] });

  let map;
  const pins = new Map();
  const known = new Map();
  const lines = L.layerGroup();
  const regions = L.layerGroup();
  const names = [];
  // Communes and archipelagos are named where nothing else stands: the nearest free place around their middle.
  const placeRegions = () => {
    regions.clearLayers();
    for (const [lat, lon, words] of names) {
      if (!map.getBounds().contains([lat, lon])) continue;
      const { x, y } = map.latLngToContainerPoint([lat, lon]);
      const half = words.length * 5.4;
      const around = [];
      for (let far = 0; far <= 150; far += 15) for (const [dx, dy] of [[0, -1], [0, 1], [-1, 0], [1, 0], [-1, -1], [1, -1], [-1, 1], [1, 1]]) around.push([x + dx * far, y + dy * far]);
      // The edges carry the degrees.
      const free = around.find(([cx, cy]) => cx - half > 60 && cy > 30 && isFree([cx - half, cy - 12, cx + half, cy + 12]));
      if (!free) continue;
      taken.push([free[0] - half, free[1] - 12, free[0] + half, free[1] + 12]);
      const at = map.containerPointToLatLng(free);
      L.marker(at, { icon: label(words, "region"), interactive: false, keyboard: false, zIndexOffset: -10000 }).addTo(regions);
    }
  };
  const drawLines = () => {
    lines.clearLayers();
    const bounds = map.getBounds();
    const span = bounds.getEast() - bounds.getWest();
    const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10].find((s) => span / s <= 6) ?? 20;
    const style = { color: "#c3d0cb", weight: 1, interactive: false };
    const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
    const name = (value, mark) => `${value.toFixed(digits).replace(".", isVietnamese ? "," : ".")}° ${mark}`;
    const put = (at, words) => L.marker(at, { icon: label(words, "degree"), interactive: false, keyboard: false }).addTo(lines);
    for (let x = Math.ceil(bounds.getWest() / step) * step; x < bounds.getEast(); x += step) {
      L.polyline([[bounds.getSouth(), x], [bounds.getNorth(), x]], style).addTo(lines);
      put([bounds.getNorth(), x], name(x, isVietnamese ? "Đ" : "E"));
    }
    for (let y = Math.ceil(bounds.getSouth() / step) * step; y < bounds.getNorth(); y += step) {
      L.polyline([[y, bounds.getWest()], [y, bounds.getEast()]], style).addTo(lines);
      put([y, bounds.getWest()], name(y, isVietnamese ? "B" : "N"));
    }
  };
  const make = (places) => {
    box.replaceChildren();
    map = L.map(box, { attributionControl: false, zoomSnap: 0.25, minZoom: 4, maxZoom: 16, fadeAnimation: false, zoomAnimation: false });
    const spots = places.hamlets.map((p) => [degrees(p.lat_e7), degrees(p.lon_e7)]);
    const fit = () => {
      if (spots.length) map.fitBounds(spots, { padding: [40, 56], maxZoom: 13 });
      else map.setView([16.2, 106.5], 5);
    };
    fit();
    map.on("resize", fit);
    lines.addTo(map);
    L.control.scale({ imperial: false }).addTo(map);
    regions.addTo(map);
    names.push(...places.communes.map((c) => [degrees(c.lat_e7), degrees(c.lon_e7), c.name]));
    names.push([16.5, 111.6, box.dataset.hoangsa], [9.8, 113.9, box.dataset.truongsa]);
    map.on("moveend", () => {
      drawLines();
      place();
    });
    drawLines();
  };
  const place = () => {
    const chosen = sides([...known.values()]);
    for (const [code, spot] of known) {
      if (!pins.has(code)) {
        const marker = L.marker([degrees(spot.lat_e7), degrees(spot.lon_e7)], { title: spot.name, alt: spot.name, keyboard: false });
        marker.on("click", () => { location.href = `${box.dataset.hamlets}/${encodeURIComponent(code)}`; });
        pins.set(code, marker);
      }
      pins.get(code).setIcon(pin(spot, chosen.get(code))).addTo(map);
    }
    placeRegions();
  };
  const show = (places) => {
    for (const spot of places.hamlets) known.set(spot.code, spot);
    if (!map) make(places);
    place();
  };
  const load = async () => {
    try {
      const answer = await fetch(box.dataset.places, { cache: "no-store" });
      if (answer.ok) show(await answer.json());
    } catch {
      // The line above the feed already says that the connection is lost.
    }
  };
  document.addEventListener("dosong:new", load);
  load();
})();

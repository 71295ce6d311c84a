// Draws the report from the JSON in #data. Strings enter the page as text nodes and attribute
// values only, never as markup, so whatever they hold is shown and not run.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const dense = data.baseline;
  const wirings = dense ? [...data.points, dense] : data.points;
  const spot = data.sweet_spot;
  const known = (value) => typeof value === "number";
  const $ = (id) => document.getElementById(id);

  // ---- elements -------------------------------------------------------------------------------
  const fill = (element, attributes, children) => {
    for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const tag = (name, attributes, ...children) =>
    fill(document.createElement(name), attributes, children);
  const svg = (name, attributes, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
  const text = (x, y, words, attributes) => svg("text", { x, y, ...attributes }, words);
  const canvas = (width, height, attributes) =>
    svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, ...attributes });

  // ---- numbers --------------------------------------------------------------------------------
  const fixed = (value, digits = 2) =>
    known(value) ? value.toFixed(digits).replace("-", "−") : "–";
  const whole = (value) => (known(value) ? value.toLocaleString("en-US") : "–");
  const range = (pair) => `${fixed(pair[0])}–${fixed(pair[1])}`;
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const nameOf = (wiring) => (wiring === dense ? "dense" : String(wiring.id));
  const seedsOf = (wiring) => (wiring && wiring.errors ? wiring.errors.filter(known) : []);

  const extent = (values, margin = 0) => {
    let low = Infinity, high = -Infinity;
    for (const value of values) {
      if (!known(value)) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    if (low > high) [low, high] = [0, 1];
    const pad = high > low ? (high - low) * margin : margin && (Math.abs(low) * 0.05 || 0.5);
    return [low - pad, high + pad];
  };
  const scale = ([low, high], [from, to]) => (value) =>
    from + ((value - low) / (high - low || 1)) * (to - from);
  const ticks = ([low, high], count) => {
    const rough = (high - low) / count || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const marks = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) {
      marks.push([k * step, fixed(k * step, digits)]);
    }
    return marks;
  };

  // ---- colour ---------------------------------------------------------------------------------
  // A diverged run must not flatten the colours of all others: the ramp ends at Tukey's far fence.
  const sorted = wirings.map((w) => w.error).filter(known).sort((a, b) => a - b);
  const quantile = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const fence = quantile(0.75) + 3 * (quantile(0.75) - quantile(0.25));
  const lowest = sorted.length ? sorted[0] : 0;
  const highest = sorted.length ? sorted.findLast((value) => value <= fence) : 0;
  const span = highest - lowest;
  const places = span > 0 ? Math.min(6, Math.max(2, Math.ceil(2 - Math.log10(span)))) : 2;
  const error = (value) => fixed(value, places);
  const STEPS = 8; // --ramp-0 .. --ramp-8 in the style sheet, even steps of lightness
  const share = (value) => (span > 0 ? Math.min(1, Math.max(0, (value - lowest) / span)) : 0);
  const colour = (value) => {
    if (!known(value)) return "transparent";
    const step = Math.min(STEPS - 1, Math.floor(share(value) * STEPS));
    const rest = (share(value) * STEPS - step) * 100;
    return `color-mix(in oklab, var(--ramp-${step}), var(--ramp-${step + 1}) ${rest.toFixed(1)}%)`;
  };
  const best = wirings.reduce(
    (at, w, i) => (w !== dense && known(w.error) && !(wirings[at]?.error <= w.error) ? i : at), 0);

  function drawLegend() {
    const bar = tag("div", { class: "bar" });
    const below = tag("div", { class: "ends" }, tag("span", {}, error(sorted.length ? lowest : null)));
    if (span > 0) {
      const beyond = sorted[sorted.length - 1] > highest;
      below.append(tag("span", {}, (beyond ? "≥ " : "") + error(highest)));
    }
    if (dense && known(dense.error)) {
      const pin = tag("span", { class: "pin" }, `dense ${error(dense.error)}`);
      const at = share(dense.error);
      pin.style.left = `${at * 100}%`;
      pin.style.transform = `translateX(${-at * 100}%)`;
      const line = tag("i");
      line.style.left = `${at * 100}%`;
      bar.append(line, pin);
    }
    $("legend").setAttribute("aria-label",
      `Colour: ${data.error_name}, from ${error(lowest)} (best) to ${error(highest)}`);
    $("legend").append(tag("span", { class: "name" }, data.error_name), bar, below);
    const rated = data.points.filter((w) => known(w.error));
    const better = dense ? rated.filter((w) => w.error < dense.error).length : 0;
    $("tally").textContent = `${whole(data.points.length)} wiring${data.points.length === 1 ? "" : "s"}`
      + (dense && known(dense.error) ? `; ${whole(better)} with a lower mean error than the dense net` : "")
      + (rated.length < data.points.length ? `; ${whole(data.points.length - rated.length)} without a result` : "");
  }

  // ---- charts ---------------------------------------------------------------------------------
  function axes(chart, box, domains, names, counts) {
    const x = scale(domains[0], [box.left, box.right]), y = scale(domains[1], [box.bottom, box.top]);
    const grid = svg("g", { class: "axes", "aria-hidden": "true" });
    for (const [value, label] of ticks(domains[0], counts[0])) {
      grid.append(svg("line", { x1: x(value), x2: x(value), y1: box.top, y2: box.bottom }),
        text(x(value), box.bottom + 18, label, { "text-anchor": "middle" }));
    }
    for (const [value, label] of ticks(domains[1], counts[1])) {
      grid.append(svg("line", { x1: box.left, x2: box.right, y1: y(value), y2: y(value) }),
        text(box.left - 8, y(value) + 4, label, { "text-anchor": "end" }));
    }
    const middle = (box.top + box.bottom) / 2, side = box.side ?? 14;
    grid.append(
      text((box.left + box.right) / 2, box.bottom + 40, names[0], { class: "axis", "text-anchor": "middle" }),
      text(side, middle, names[1],
        { class: "axis", "text-anchor": "middle", transform: `rotate(-90 ${side} ${middle})` }));
    chart.append(grid);
    return { x, y };
  }

  const rectangle = (at, c, l) => {
    const [left, right, top, bottom] = [at.x(c[0]), at.x(c[1]), at.y(l[1]), at.y(l[0])];
    return `M${left} ${top}H${right}V${bottom}H${left}Z`;
  };
  const corner = (at, c, l) => [Math.min(...c.map(at.x)), Math.min(...l.map(at.y))];

  function drawSpot(chart, at) {
    const bins = svg("g", { class: "bins" });
    for (const bin of spot.bins || []) {
      const cell = svg("path", { d: rectangle(at, bin.C, bin.L), class: bin.kept ? "kept" : "left" },
        svg("title", {}, `C ${range(bin.C)}, L ${range(bin.L)}: mean ${error(bin.mean)} of ${bin.count}`));
      cell.style.fill = colour(bin.mean);
      bins.append(cell);
    }
    chart.append(bins);
    if (spot.interval) {
      const { C_lo, C_hi, L_lo, L_hi } = spot.interval;
      // The inner rectangle is what every redraw agrees on; there may be no such place.
      const agreed = C_lo[1] < C_hi[0] && L_lo[1] < L_hi[0]
        ? rectangle(at, [C_lo[1], C_hi[0]], [L_lo[1], L_hi[0]]) : "";
      const outer = rectangle(at, [C_lo[0], C_hi[1]], [L_lo[0], L_hi[1]]);
      chart.append(svg("path", { d: outer + agreed, class: "band", "fill-rule": "evenodd" }));
    }
    const [left, top] = corner(at, spot.C, spot.L);
    chart.append(svg("path", { d: rectangle(at, spot.C, spot.L), class: "spot" }));
    return text(left + 2, top - 7, "sweet spot", { class: "spot-name" });
  }

  // ---- the plane ------------------------------------------------------------------------------
  let selected = -1, focused = -1, hovered = -1, drawnWidth = 0;
  let marks = [], spots = [], ring = null;
  const rows = new Map();
  const onPlane = (w) => known(w.C) && known(w.L);
  const describe = (w) =>
    `${nameOf(w)}: C ${fixed(w.C)}, L ${fixed(w.L)}, error ${error(w.error)}`;

  function drawPlane() {
    const width = Math.max(280, $("plane").clientWidth);
    const height = Math.round(Math.min(640, Math.max(340, width * 0.74)));
    drawnWidth = width;
    const chart = canvas(width, height, { role: "listbox", "aria-label":
      "Wirings by clustering C and path length L. Arrow keys move, Enter chooses." });
    const box = { left: 52, right: width - 14, top: 14, bottom: height - 48 };
    const edges = spot?.interval ? [...spot.interval.L_lo, ...spot.interval.L_hi] : [];
    const lengths = extent([...wirings.map((w) => w.L), ...(spot ? spot.L : []), ...edges], 0.05);
    const at = axes(chart, box, [[-0.025, 1.025], lengths],
      ["clustering coefficient C", "mean path length L"], [width < 500 ? 5 : 10, 7]);
    const label = spot ? drawSpot(chart, at) : null;
    const radius = Math.min(width < 500 ? 5 : 7, Math.max(width < 500 ? 1.5 : 2.3, 46 / Math.sqrt(wirings.length)));
    const dots = svg("g", { class: "dots" });
    spots = [];
    marks = wirings.map((w, i) => {
      if (!onPlane(w)) return null;
      const [x, y] = [at.x(w.C), at.y(w.L)];
      const big = Math.max(6, radius + 1.5);
      const mark = w === dense
        ? svg("path", { d: `M${x} ${y - big}L${x + big} ${y}L${x} ${y + big}L${x - big} ${y}Z`, class: "dense" })
        : svg("circle", { cx: x, cy: y, r: radius });
      fill(mark, { role: "option", tabindex: -1, "data-index": i, "aria-label": describe(w), "aria-selected": false }, []);
      if (known(w.error)) mark.style.fill = colour(w.error);
      else mark.classList.add("unknown");
      dots.append(mark);
      spots.push({ i, x, y });
      return mark;
    });
    ring = svg("circle", { class: "ring", r: radius + 4.5, visibility: "hidden" });
    chart.append(dots, ring, ...(label ? [label] : []));
    if (!wirings.some(onPlane)) {
      chart.append(text(width / 2, height / 2, "No wiring has finished yet.", { class: "axis", "text-anchor": "middle" }));
    }
    chart.addEventListener("pointermove", (event) => hover(nearest(chart, event)));
    chart.addEventListener("pointerleave", () => hover(-1));
    chart.addEventListener("click", (event) => choose(nearest(chart, event)));
    chart.addEventListener("keydown", onKey);
    chart.addEventListener("focusin", (event) => { focused = Number(event.target.dataset.index); hover(focused); });
    chart.addEventListener("focusout", () => hover(-1));
    $("plane").replaceChildren(chart);
    mark();
  }

  // Small points are hard to hit: the pointer means the closest one in reach.
  function nearest(chart, event) {
    const frame = chart.getBoundingClientRect();
    const zoom = drawnWidth / frame.width;
    const x = (event.clientX - frame.left) * zoom, y = (event.clientY - frame.top) * zoom;
    let found = -1, reach = 18;
    for (const place of spots) {
      const distance = Math.hypot(place.x - x, place.y - y);
      if (distance < reach) [found, reach] = [place.i, distance];
    }
    return found;
  }

  function onKey(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Enter" || event.key === " ") choose(focused);
    else if (event.key === "Home") marks[best]?.focus();
    else if (way) {
      const here = spots.find((place) => place.i === focused);
      let next = null, least = Infinity;
      for (const place of spots) {
        const ahead = (place.x - here.x) * way[0] + (place.y - here.y) * way[1];
        const aside = Math.abs((place.x - here.x) * way[1]) + Math.abs((place.y - here.y) * way[0]);
        const cost = ahead + 2.5 * aside;
        if (ahead > 0.01 && cost < least) [next, least] = [place, cost];
      }
      if (next) marks[next.i].focus();
    } else return;
    event.preventDefault();
  }

  function hover(index) {
    if (hovered === index) return;
    marks[hovered]?.classList.remove("over");
    hovered = index;
    const tip = $("tooltip");
    tip.hidden = index < 0;
    if (index < 0) return;
    const w = wirings[index];
    marks[index].classList.add("over");
    tip.replaceChildren(
      tag("b", {}, w === dense ? w.label : `wiring ${w.id}`),
      tag("span", {}, `C ${fixed(w.C, 3)}   L ${fixed(w.L, 3)}`),
      tag("span", {}, `error ${error(w.error)}${known(w.sd) ? ` ± ${error(w.sd)}` : ""}`));
    const point = marks[index].getBoundingClientRect(), size = tip.getBoundingClientRect();
    const left = point.left + point.width / 2 - size.width / 2;
    const top = point.top - size.height - 10;
    tip.style.left = `${Math.max(6, Math.min(document.documentElement.clientWidth - size.width - 6, left)) + scrollX}px`;
    tip.style.top = `${(top < 4 ? point.bottom + 10 : top) + scrollY}px`;
  }

  // ---- choosing -------------------------------------------------------------------------------
  function mark() {
    marks.forEach((m, i) => m && m.setAttribute("tabindex", i === selected ? 0 : -1));
    const place = spots.find((p) => p.i === selected);
    if (place) fill(ring, { cx: place.x, cy: place.y, visibility: "visible" }, []);
    else {
      ring.setAttribute("visibility", "hidden");
      if (spots.length) marks[spots[0].i].setAttribute("tabindex", 0);
    }
    marks[selected]?.setAttribute("aria-selected", true);
  }

  function choose(index) {
    if (index < 0 || index === selected) return;
    marks[selected]?.setAttribute("aria-selected", false);
    rows.get(selected)?.setAttribute("aria-selected", false);
    selected = index;
    mark();
    drawPanel(wirings[index]);
    const row = rows.get(index);
    if (!row) return;
    row.setAttribute("aria-selected", true);
    const list = $("table");
    const head = list.querySelector("thead").offsetHeight;
    if (row.offsetTop - head < list.scrollTop || row.offsetTop + row.offsetHeight > list.scrollTop + list.clientHeight) {
      list.scrollTop = row.offsetTop - list.clientHeight / 2;
    }
  }

  // ---- the panel ------------------------------------------------------------------------------
  function unpack(wiring) {
    const bytes = atob(wiring.wires), pairs = [];
    for (let at = 0, code = 0; at < bytes.length; ) {
      for (let weight = 1; ; weight *= 128) {
        const byte = bytes.charCodeAt(at++);
        code += (byte & 127) * weight;
        if (byte < 128) break;
      }
      pairs.push([Math.floor(code / wiring.nodes), code % wiring.nodes]);
    }
    return pairs;
  }

  function drawWiring(w, size) {
    const pairs = unpack(w);
    const picture = canvas(size, size, { class: "wiring", role: "img",
      "aria-label": `The wiring: ${w.nodes} nodes and ${pairs.length} edges on a circle` });
    const dot = Math.max(1.2, Math.min(size / 40, (0.9 * size) / w.nodes));
    const radius = w.nodes > 1 ? size / 2 - dot - 2 : 0;
    const at = Array.from({ length: w.nodes }, (_, node) => {
      const angle = (2 * Math.PI * node) / w.nodes;
      return [size / 2 + radius * Math.sin(angle), size / 2 - radius * Math.cos(angle)];
    });
    const lines = svg("g", { class: "edges", "stroke-opacity": Math.max(0.14, Math.min(0.8, 6 / Math.sqrt(pairs.length || 1))) });
    const touching = at.map(() => []);
    for (const [u, v] of pairs) {
      let [x2, y2] = at[v];
      if (w.directed && u !== v) {
        const cut = dot / Math.hypot(x2 - at[u][0], y2 - at[u][1]);
        [x2, y2] = [x2 - (x2 - at[u][0]) * cut, y2 - (y2 - at[u][1]) * cut];
      }
      const line = svg("line", { x1: at[u][0], y1: at[u][1], x2, y2 });
      if (w.directed) line.setAttribute("marker-end", "url(#arrow)");
      touching[u].push(line);
      touching[v].push(line);
      lines.append(line);
    }
    if (w.directed) {
      picture.append(svg("defs", {}, svg("marker",
        { id: "arrow", viewBox: "0 0 6 6", refX: 6, refY: 3, markerWidth: 6, markerHeight: 6, orient: "auto" },
        svg("path", { d: "M0 0L6 3L0 6z" }))));
    }
    const nodes = svg("g", { class: "nodes" }, ...at.map(([cx, cy], node) => {
      const circle = svg("circle", { cx, cy, r: dot });
      const light = (on) => {
        picture.classList.toggle("lit", on);
        touching[node].forEach((line) => line.classList.toggle("on", on));
      };
      circle.addEventListener("pointerenter", () => light(true));
      circle.addEventListener("pointerleave", () => light(false));
      return circle;
    }));
    picture.append(lines, nodes);
    return picture;
  }

  function drawSeeds(w) {
    const width = 340, lines = w === dense || !dense ? [[nameOf(w), w]] : [["this", w], ["dense", dense]];
    const height = 34 + 26 * lines.length;
    const shown = lines.flatMap(([, one]) => [one.error, ...seedsOf(one)]);
    const x = scale(extent([lowest, highest, ...shown], 0.06), [48, width - 10]);
    const chart = canvas(width, height, { class: "seeds", role: "img", "aria-label":
      `Each seed's error: ${lines.map(([name, one]) => `${name} ${seedsOf(one).map(error).join(", ")}`).join("; ")}` });
    const low = height - 24;
    for (const [value, label] of ticks(extent([lowest, highest, ...shown], 0.06), 4)) {
      chart.append(svg("line", { x1: x(value), x2: x(value), y1: 4, y2: low, class: "grid" }),
        text(x(value), height - 8, label, { "text-anchor": "middle" }));
    }
    lines.forEach(([name, one], k) => {
      const y = 18 + 26 * k;
      const row = svg("g", { class: one === dense ? "of-dense" : "of-this" }, text(40, y + 4, name, { "text-anchor": "end" }));
      if (known(one.error)) row.append(svg("line", { x1: x(one.error), x2: x(one.error), y1: y - 10, y2: y + 10, class: "mean" }));
      for (const value of seedsOf(one)) row.append(svg("circle", { cx: x(value), cy: y, r: 4 }));
      chart.append(row);
    });
    return chart;
  }

  function drawPanel(w) {
    const facts = [
      ["C", fixed(w.C, 3)], ["L", fixed(w.L, 3)], ["density", fixed(w.density, 3)],
      ["nodes", whole(w.nodes)], ["edges", whole(w.edge_count)], ["width", whole(w.width)],
      ["multiply-adds", whole(w.macs), "wide"], ["parameters", whole(w.params), "wide"],
    ];
    const gap = dense && w !== dense && known(w.error) && known(dense.error) ? w.error - dense.error : null;
    const chip = tag("i", { class: "chip" });
    chip.style.background = colour(w.error);
    const title = w === dense ? "Dense baseline" : `Wiring ${w.id}${wirings.indexOf(w) === best && known(w.error) ? ", the best mean" : ""}`;
    const seeds = seedsOf(w).length;
    $("panel").replaceChildren(
      tag("h2", { "aria-live": "polite" }, title),
      tag("p", { class: "label" }, w.label),
      known(w.nodes) && typeof w.wires === "string" ? drawWiring(w, 360) : tag("p", { class: "hint" }, "Its edges are not in this report."),
      tag("p", { class: "score" }, chip, tag("b", {}, error(w.error)),
        known(w.sd) ? ` ± ${error(w.sd)}` : "",
        tag("span", {}, gap === null ? "" : `${gap > 0 ? "+" : ""}${error(gap)} against dense`)),
      tag("p", { class: "hint" }, data.error_name + (seeds ? `, ${seeds} seed${seeds > 1 ? "s" : ""}` : "")),
      ...(seeds ? [drawSeeds(w)] : []),
      tag("dl", {}, ...facts.map(([name, value, kind]) =>
        tag("div", kind ? { class: kind } : {}, tag("dt", {}, name), tag("dd", {}, value)))));
  }

  // ---- slices ---------------------------------------------------------------------------------
  function drawSlice(slice) {
    const width = 400, height = 290, other = slice.axis === "L" ? "path length L" : "clustering C";
    const chart = canvas(width, height, { role: "img", "aria-label": `${slice.title}: error against ${other}` });
    const domain = extent(slice.points.map((p) => p[0]), 0.04), fit = slice.fit;
    const curve = [];
    for (let k = 0; fit && k <= 60; k++) {
      const x = domain[0] + ((domain[1] - domain[0]) * k) / 60;
      curve.push([x, (fit.coefficients[0] * x + fit.coefficients[1]) * x + fit.coefficients[2]]);
    }
    const heights = extent([...slice.points, ...curve].map((p) => p[1]), 0.08);
    const box = { left: 58, right: width - 8, top: 8, bottom: height - 46, side: 13 };
    const at = axes(chart, box, [domain, heights], [other, data.error_name], [6, 5]);
    const size = Math.max(2, Math.min(4.5, 30 / Math.sqrt(slice.points.length || 1)));
    if (dense && dense.error > heights[0] && dense.error < heights[1]) {
      const y = at.y(dense.error);
      chart.append(svg("line", { x1: box.left, x2: box.right, y1: y, y2: y, class: "level" }),
        text(box.right - 2, y - 5, "dense", { "text-anchor": "end", class: "level-name" }));
    }
    chart.append(svg("g", { class: "cloud" }, ...slice.points.filter((p) => p.every(known)).map((p) =>
      svg("circle", { cx: at.x(p[0]), cy: at.y(p[1]), r: size }))));
    const figure = tag("figure", {}, tag("h3", {}, slice.title), chart);
    if (fit) {
      chart.append(svg("path", { class: "fit", d: curve.map(([x, y], k) => `${k ? "L" : "M"}${at.x(x)} ${at.y(y)}`).join("") }));
      const turn = known(fit.vertex) && fit.vertex > domain[0] && fit.vertex < domain[1];
      if (turn) chart.append(svg("line", { x1: at.x(fit.vertex), x2: at.x(fit.vertex), y1: box.top, y2: box.bottom, class: "vertex" }));
      const extreme = fit.coefficients[0] < 0 ? "highest" : "lowest";
      figure.append(tag("figcaption", {}, `Second-degree fit, R² ${fixed(fit.r2)}; `
        + (turn ? `${extreme} at ${slice.axis} = ${fixed(fit.vertex)}.` : "no turning point within the data.")));
    } else figure.append(tag("figcaption", {}, "Too few points for a fit."));
    return figure;
  }

  // ---- the table ------------------------------------------------------------------------------
  const columns = [
    ["wiring", (w) => w.id, nameOf], ["C", (w) => w.C, (w) => fixed(w.C, 3)], ["L", (w) => w.L, (w) => fixed(w.L, 3)],
    ["density", (w) => w.density, (w) => fixed(w.density, 3)], ["width", (w) => w.width, (w) => whole(w.width)],
    ["error", (w) => w.error, (w) => error(w.error)], ["sd", (w) => w.sd, (w) => error(w.sd)],
  ];

  function drawTable() {
    const body = tag("tbody");
    const order = wirings.map((_, i) => i);
    const heads = columns.map(([name], k) => {
      const button = tag("button", { type: "button" }, name);
      button.addEventListener("click", () => sort(k, heads[k].getAttribute("aria-sort") === "ascending" ? -1 : 1));
      return tag("th", { scope: "col" }, button);
    });
    function sort(k, sign) {
      const key = columns[k][1], missing = (value) => value === null || value === undefined;
      order.sort((i, j) => {
        const a = key(wirings[i]), b = key(wirings[j]);
        if (missing(a) || missing(b)) return missing(a) - missing(b) || i - j;
        const by = known(a) && known(b) ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
        return sign * by || i - j;
      });
      heads.forEach((head) => head.removeAttribute("aria-sort"));
      heads[k].setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      body.replaceChildren(...order.map((i) => rows.get(i)));
    }
    wirings.forEach((w, i) => {
      const row = tag("tr", { "data-index": i, tabindex: -1, "aria-selected": false, ...(w === dense ? { class: "dense" } : {}) });
      for (const [, , show] of columns) row.append(tag("td", {}, show(w)));
      rows.set(i, row);
    });
    const pick = (row) => {
      if (!row) return;
      choose(Number(row.dataset.index));
      const panel = $("panel").getBoundingClientRect();
      if (panel.bottom < 0 || panel.top > innerHeight) $("panel").scrollIntoView({ block: "start" });
    };
    body.addEventListener("click", (event) => pick(event.target.closest("tr")));
    $("table").addEventListener("keydown", (event) => {
      const row = event.target.closest("tbody tr");
      const next = { ArrowDown: row ? row.nextElementSibling : body.firstElementChild, ArrowUp: row?.previousElementSibling }[event.key];
      if (row && (event.key === "Enter" || event.key === " ")) pick(row);
      else if (next) next.focus();
      else return;
      event.preventDefault();
    });
    $("table").append(tag("table", { role: "grid", "aria-label": "All wirings; the arrow keys move, Enter chooses" },
      tag("thead", {}, tag("tr", {}, ...heads)), body));
    sort(5, 1);
  }

  // ---- the key --------------------------------------------------------------------------------
  function drawKey() {
    const entry = (kind, words) => tag("span", {}, tag("i", { class: kind }), words);
    if (spot) {
      $("key").append(entry("key-spot", `sweet spot, C ${range(spot.C)}, L ${range(spot.L)}`));
      if (spot.interval) $("key").append(entry("key-band", "where its edges may lie"));
    }
    if (dense) $("key").append(entry("key-dense", dense.label));
    if (spot?.bins?.length) {
      const box = tag("input", { type: "checkbox", id: "bins" });
      box.addEventListener("change", () => $("plane").classList.toggle("with-bins", box.checked));
      $("key").append(tag("label", {}, box, "show the bins it was found from"));
    }
  }

  drawLegend();
  drawKey();
  drawTable();
  drawPlane();
  if (data.slices.length) {
    $("slices-section").hidden = false;
    $("slices").append(...data.slices.map(drawSlice));
  }
  if (wirings.length) choose(best);
  else $("panel").hidden = true;
  new ResizeObserver(() => {
    if (Math.abs($("plane").clientWidth - drawnWidth) > 1 && $("plane").clientWidth >= 280) requestAnimationFrame(drawPlane);
  }).observe($("plane"));
})();

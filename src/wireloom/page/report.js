// Draws the report from the JSON in #data. Strings enter the page as text nodes and attribute
// values only, never as markup, so whatever they hold is shown and not run.
(() => {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const dense = data.baseline, spot = data.sweet_spot;
  const wirings = dense ? [...data.points, dense] : data.points;
  const known = (value) => typeof value === "number";

  const fill = (element, attributes, children = []) => {
    for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const tag = (name, attributes, ...children) =>
    fill(document.createElement(name), attributes, children);
  const svg = (name, attributes, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
  const text = (x, y, words, anchor = "start", more = {}) =>
    svg("text", { x, y, "text-anchor": anchor, ...more }, words);
  const line = (x1, y1, x2, y2, more) => svg("line", { x1, y1, x2, y2, ...more });
  const canvas = (width, height, more) =>
    svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, ...more });

  const fixed = (value, digits = 2) =>
    known(value) ? value.toFixed(digits).replace("-", "−") : "–";
  const whole = (value) => (known(value) ? value.toLocaleString("en-US") : "–");
  const range = ([low, high]) => `${fixed(low)}–${fixed(high)}`;
  const nameOf = (wiring) => (wiring === dense ? "dense" : String(wiring.id));
  const seedsOf = (wiring) => (wiring.errors || []).filter(known);

  const extent = (values, margin) => {
    const numbers = values.filter(known);
    if (!numbers.length) return [0, 1];
    const low = numbers.reduce((a, b) => Math.min(a, b));
    const high = numbers.reduce((a, b) => Math.max(a, b));
    const pad = high > low ? (high - low) * margin : Math.abs(low) * 0.05 || 0.5;
    return [low - pad, high + pad];
  };
  const scale = ([low, high], [from, to]) => (value) =>
    from + ((value - low) / (high - low)) * (to - from);
  const ticks = ([low, high], count) => {
    const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), marks = [];
    for (let k = Math.ceil(low / step); k * step <= high; k++) {
      marks.push([k * step, fixed(k * step, digits)]);
    }
    return marks;
  };

  // A diverged run must not flatten the colours of all others: the ramp ends at Tukey's far fence.
  const sorted = wirings.map((w) => w.error).filter(known).sort((a, b) => a - b);
  const quantile = (part) => sorted[Math.round(part * (sorted.length - 1))];
  const fence = quantile(0.75) + 3 * (quantile(0.75) - quantile(0.25));
  const lowest = sorted[0];
  const highest = sorted.findLast((value) => value <= fence || !(fence > lowest));
  const span = highest - lowest;
  const places = span > 0 ? Math.min(6, Math.max(2, Math.ceil(2 - Math.log10(span)))) : 2;
  const error = (value) => fixed(value, places);
  const spread = (w) => (known(w.sd) ? ` ± ${error(w.sd)}` : "");
  const share = (value) =>
    span > 0 ? Math.min(1, Math.max(0, (value - lowest) / span)) : 0;
  const STEPS = 8; // the style sheet has --ramp-0 to --ramp-8
  const colour = (value) => {
    if (!known(value)) return "transparent";
    const at = share(value) * STEPS, step = Math.min(STEPS - 1, Math.floor(at));
    const rest = ((at - step) * 100).toFixed(1);
    return `color-mix(in oklab, var(--ramp-${step}), var(--ramp-${step + 1}) ${rest}%)`;
  };
  const rated = data.points.filter((w) => known(w.error));
  const best = rated.length ? rated.reduce((a, b) => (b.error < a.error ? b : a)) : wirings[0];

  function drawLegend() {
    const count = data.points.length, better = rated.filter((w) => w.error < dense?.error).length;
    $("tally").textContent = `${whole(count)} wiring${count === 1 ? "" : "s"}`
      + (known(dense?.error) ? `; ${whole(better)} with a lower mean error than the dense net` : "")
      + (rated.length < count ? `; ${whole(count - rated.length)} without a result` : "");
    if (!sorted.length) return;
    const beyond = sorted[sorted.length - 1] > highest ? "≥ " : "";
    const bar = tag("div", { class: "bar" });
    const ends = tag("div", { class: "ends" }, tag("span", {}, error(lowest)));
    if (span > 0) ends.append(tag("span", {}, beyond + error(highest)));
    if (known(dense?.error)) {
      const pin = tag("span", { class: "pin" }, `dense ${error(dense.error)}`), notch = tag("i");
      const at = share(dense.error) * 100;
      pin.style.left = notch.style.left = `${at}%`;
      pin.style.transform = `translateX(${-at}%)`;
      bar.append(notch, pin);
    }
    const label = `Colour: ${data.error_name}, from ${error(lowest)} (best) to ${error(highest)}`;
    fill($("legend"), { "aria-label": label }, [tag("span", {}, data.error_name), bar, ends]);
  }

  function axes(chart, box, domains, names, counts) {
    const x = scale(domains[0], [box.left, box.right]);
    const y = scale(domains[1], [box.bottom, box.top]);
    const grid = svg("g", { class: "axes", "aria-hidden": "true" });
    for (const [value, label] of ticks(domains[0], counts[0])) {
      grid.append(line(x(value), box.top, x(value), box.bottom),
        text(x(value), box.bottom + 18, label, "middle"));
    }
    for (const [value, label] of ticks(domains[1], counts[1])) {
      grid.append(line(box.left, y(value), box.right, y(value)),
        text(box.left - 8, y(value) + 4, label, "end"));
    }
    const centre = (box.left + box.right) / 2, middle = (box.top + box.bottom) / 2;
    const turn = { class: "axis", transform: `rotate(-90 13 ${middle})` };
    grid.append(text(centre, box.bottom + 40, names[0], "middle", { class: "axis" }),
      text(13, middle, names[1], "middle", turn));
    chart.append(grid);
    return { x, y };
  }

  // The spot's parts that lie under the points, and those that lie over them.
  function spotLayers(at) {
    const box = (c, l) => `M${at.x(c[0])} ${at.y(l[1])}H${at.x(c[1])}V${at.y(l[0])}H${at.x(c[0])}Z`;
    const under = (spot.bins || []).map((bin) => {
      const words = `C ${range(bin.C)}, L ${range(bin.L)}: mean ${error(bin.mean)} of ${bin.count}`;
      const cell = svg("path", { d: box(bin.C, bin.L), class: "bin" }, svg("title", {}, words));
      cell.style.fill = colour(bin.mean);
      return cell;
    });
    const over = (spot.bins || []).filter((bin) => bin.kept)
      .map((bin) => svg("path", { d: box(bin.C, bin.L), class: "bin kept" }));
    if (spot.interval) {
      const { C_lo, C_hi, L_lo, L_hi } = spot.interval;
      const outer = box([C_lo[0], C_hi[1]], [L_lo[0], L_hi[1]]);
      // What lies inside at either end of every interval; there may be no such place.
      const inner = C_lo[1] < C_hi[0] && L_lo[1] < L_hi[0]
        ? box([C_lo[1], C_hi[0]], [L_lo[1], L_hi[0]]) : "";
      under.push(svg("path", { d: outer + inner, class: "band", "fill-rule": "evenodd" }));
      over.push(svg("path", { d: outer + inner, class: "band-edge" }));
    }
    over.push(svg("path", { d: box(spot.C, spot.L), class: "spot" }),
      text(at.x(spot.C[0]), at.y(spot.L[1]) - 7, "sweet spot", "start", { class: "spot-name" }));
    return [under, over];
  }

  let selected = -1, focused = -1, hovered = -1, drawnWidth = 0;
  let marks = [], spots = [], ring = null;
  const rows = [];

  function drawPlane() {
    const width = Math.max(280, $("plane").clientWidth), small = width < 500;
    const height = Math.round(Math.min(640, Math.max(340, width * 0.74)));
    const chart = canvas(width, height, { role: "listbox", "aria-label":
      "Wirings by clustering C and path length L. Arrow keys move, Enter chooses." });
    const bins = (spot?.bins || []).map((bin) => bin.L);
    const reach = [spot?.L, spot?.interval?.L_lo, spot?.interval?.L_hi, ...bins].flat();
    const lengths = extent([...wirings.map((w) => w.L), ...reach], 0.05);
    const at = axes(chart, { left: 52, right: width - 14, top: 14, bottom: height - 48 },
      [[-0.025, 1.025], lengths],
      ["clustering coefficient C", "mean path length L"], [small ? 5 : 10, 7]);
    const [least, most] = small ? [1.5, 5] : [2.4, 7];
    const radius = Math.min(most, Math.max(least, 46 / Math.sqrt(wirings.length)));
    const big = Math.max(6, radius + 1.5);
    const dots = svg("g", { class: wirings.length > 1000 ? "dots many" : "dots" });
    drawnWidth = width;
    spots = [];
    marks = wirings.map((w, i) => {
      if (!known(w.C) || !known(w.L)) return null;
      const x = at.x(w.C), y = at.y(w.L);
      const diamond = `M${x} ${y - big}L${x + big} ${y}L${x} ${y + big}L${x - big} ${y}Z`;
      const mark = w === dense ? svg("path", { d: diamond, class: "dense" })
        : svg("circle", { cx: x, cy: y, r: radius });
      const words = `${nameOf(w)}: C ${fixed(w.C)}, L ${fixed(w.L)}, error ${error(w.error)}`;
      fill(mark, { role: "option", tabindex: -1, "data-index": i, "aria-label": words });
      if (known(w.error)) mark.style.fill = colour(w.error);
      else mark.classList.add("unknown");
      dots.append(mark);
      spots.push({ i, x, y });
      return mark;
    });
    const around = { r: Math.max(9, radius + 4.5) };
    ring = svg("g", { class: "ring" }, svg("circle", around), svg("circle", around));
    const [under, over] = spot ? spotLayers(at) : [[], []];
    chart.append(...under, dots, ...over, ring);
    if (!spots.length) chart.append(text(width / 2, height / 2, "No wiring to show yet", "middle"));
    chart.addEventListener("pointermove", (event) => hover(nearest(event)));
    chart.addEventListener("pointerleave", () => hover(-1));
    chart.addEventListener("click", (event) => choose(nearest(event)));
    chart.addEventListener("keydown", onKey);
    chart.addEventListener("focusin", (event) => {
      focused = Number(event.target.dataset.index);
      stopAt(event.target);
      hover(focused);
    });
    chart.addEventListener("focusout", () => hover(-1));
    $("plane").replaceChildren(chart);
    showSelected();
  }

  // Small points are hard to hit: the pointer means the closest one in reach.
  function nearest(event) {
    const frame = event.currentTarget.getBoundingClientRect(), zoom = drawnWidth / frame.width;
    const x = (event.clientX - frame.left) * zoom, y = (event.clientY - frame.top) * zoom;
    let found = -1, reach = 18;
    for (const place of spots) {
      const distance = Math.hypot(place.x - x, place.y - y);
      if (distance < reach) [found, reach] = [place.i, distance];
    }
    return found;
  }

  const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  function onKey(event) {
    const way = WAYS[event.key], here = spots.find((place) => place.i === focused);
    if (event.key === "Enter" || event.key === " ") choose(focused);
    else if (event.key === "Home") marks[wirings.indexOf(best)]?.focus();
    else if (way && here) {
      let next = -1, least = Infinity;
      for (const { i, x, y } of spots) {
        const ahead = (x - here.x) * way[0] + (y - here.y) * way[1];
        const aside = Math.abs((x - here.x) * way[1] + (y - here.y) * way[0]);
        if (ahead > 0.01 && ahead + 2.5 * aside < least) [next, least] = [i, ahead + 2.5 * aside];
      }
      marks[next]?.focus();
    } else return;
    event.preventDefault();
  }

  function hover(index) {
    if (hovered === index) return;
    marks[hovered]?.classList.remove("over");
    hovered = index;
    const tip = $("tooltip"), w = wirings[index];
    tip.hidden = !w;
    if (!w) return;
    marks[index].classList.add("over");
    tip.replaceChildren(tag("b", {}, w === dense ? w.label : `wiring ${w.id}`),
      tag("span", {}, `C ${fixed(w.C, 3)}   L ${fixed(w.L, 3)}`),
      tag("span", {}, `error ${error(w.error)}${spread(w)}`));
    const point = marks[index].getBoundingClientRect(), size = tip.getBoundingClientRect();
    const left = point.left + (point.width - size.width) / 2, top = point.top - size.height - 10;
    const rightmost = document.documentElement.clientWidth - size.width - 6;
    tip.style.left = `${Math.max(6, Math.min(rightmost, left)) + scrollX}px`;
    tip.style.top = `${(top < 4 ? point.bottom + 10 : top) + scrollY}px`;
  }

  // One point takes part in the page's tab order, or thousands would.
  function stopAt(mark) {
    $("plane").querySelector('[tabindex="0"]')?.setAttribute("tabindex", -1);
    mark?.setAttribute("tabindex", 0);
  }

  function showSelected() {
    const place = spots.find(({ i }) => i === selected);
    stopAt(marks[selected] || marks[spots[0]?.i]);
    marks[selected]?.setAttribute("aria-selected", true);
    const { x, y } = place || { x: -99, y: -99 };
    ring.setAttribute("transform", `translate(${x} ${y})`);
  }

  function choose(index) {
    if (index < 0 || index === selected) return;
    for (const old of [marks[selected], rows[selected]]) old?.setAttribute("aria-selected", false);
    selected = index;
    showSelected();
    drawPanel(wirings[index]);
    rows[index].setAttribute("aria-selected", true);
    const list = $("table"), row = rows[index].getBoundingClientRect();
    const below = row.top - list.getBoundingClientRect().top - list.clientTop;
    if (below < ROW || below > list.clientHeight - ROW) {
      list.scrollTop += below - list.clientHeight / 2;
    }
  }

  // Edges come as base64 of the steps between sorted codes u * nodes + v, seven bits a byte.
  function unpack({ wires, nodes }) {
    const bytes = atob(wires), pairs = [];
    for (let at = 0, code = 0, weight = 1; at < bytes.length; at++) {
      const byte = bytes.charCodeAt(at);
      code += (byte & 127) * weight;
      weight = byte > 127 ? weight * 128 : 1;
      if (byte < 128) pairs.push([Math.floor(code / nodes), code % nodes]);
    }
    return pairs;
  }

  function drawWiring(w, size) {
    const pairs = unpack(w), dot = Math.max(1.2, Math.min(size / 40, (0.9 * size) / w.nodes));
    const picture = canvas(size, size, { class: "wiring", role: "img",
      "aria-label": `The wiring: ${w.nodes} nodes and ${pairs.length} edges on a circle` });
    const radius = w.nodes > 1 ? size / 2 - dot - 2 : 0;
    const opacity = Math.max(0.14, Math.min(0.8, 6 / Math.sqrt(pairs.length || 1)));
    const edges = svg("g", { class: "edges", "stroke-opacity": opacity });
    const nodes = svg("g", { class: "nodes" });
    const at = [];
    for (let node = 0; node < w.nodes; node++) {
      const angle = (2 * Math.PI * node) / w.nodes;
      at.push([size / 2 + radius * Math.sin(angle), size / 2 - radius * Math.cos(angle)]);
      nodes.append(svg("circle", { cx: at[node][0], cy: at[node][1], r: dot }));
    }
    for (const [u, v] of pairs) {
      const [[x1, y1], [x2, y2]] = [at[u], at[v]];
      // An arrow's tip belongs on the rim of the node, where it can be seen.
      const cut = w.directed && u !== v ? dot / Math.hypot(x2 - x1, y2 - y1) : 0;
      const edge = line(x1, y1, x2 - (x2 - x1) * cut, y2 - (y2 - y1) * cut);
      if (w.directed) edge.setAttribute("marker-end", "url(#arrow)");
      edges.append(edge);
    }
    picture.append(edges, nodes);
    if (w.directed) {
      picture.append(svg("marker", { id: "arrow", viewBox: "0 0 6 6", refX: 6, refY: 3,
        markerWidth: 6, markerHeight: 6, orient: "auto" }, svg("path", { d: "M0 0L6 3L0 6z" })));
    }
    return picture;
  }

  function drawSeeds(w) {
    const shown = !dense || w === dense ? [[nameOf(w), w]] : [["this", w], ["dense", dense]];
    const width = 340, floor = 10 + 26 * shown.length;
    const values = shown.flatMap(([, one]) => [one.error, ...seedsOf(one)]);
    const domain = extent([lowest, highest, ...values], 0.06), x = scale(domain, [48, width - 10]);
    const words = shown.map(([name, one]) => `${name} ${seedsOf(one).map(error).join(", ")}`);
    const chart = canvas(width, floor + 24,
      { class: "seeds", role: "img", "aria-label": `Error of each seed: ${words.join("; ")}` });
    for (const [value, label] of ticks(domain, 4)) {
      chart.append(line(x(value), 4, x(value), floor, { class: "grid" }),
        text(x(value), floor + 16, label, "middle"));
    }
    shown.forEach(([name, one], k) => {
      const y = 18 + 26 * k, kind = one === dense ? "of-dense" : "of-this";
      const row = svg("g", { class: kind }, text(38, y + 4, name, "end"));
      const mean = x(one.error);
      if (known(one.error)) row.append(line(mean, y - 10, mean, y + 10, { class: "mean" }));
      row.append(...seedsOf(one).map((value) => svg("circle", { cx: x(value), cy: y, r: 4 })));
      chart.append(row);
    });
    return chart;
  }

  function drawPanel(w) {
    const seeds = seedsOf(w).length;
    const gap = w !== dense && known(dense?.error) && known(w.error) ? w.error - dense.error : null;
    const crown = w === best && rated.length > 1 ? ", the best mean" : "";
    const chip = tag("i", { class: "chip" });
    chip.style.background = colour(w.error);
    const facts = [
      ["C", fixed(w.C, 3)], ["L", fixed(w.L, 3)], ["density", fixed(w.density, 3)],
      ["nodes", whole(w.nodes)], ["edges", whole(w.edge_count)], ["width", whole(w.width)],
      ["multiply-adds", whole(w.macs), "wide"], ["parameters", whole(w.params), "wide"]];
    const title = w === dense ? "Dense baseline" : `Wiring ${w.id}${crown}`;
    $("panel").replaceChildren(
      tag("h2", { "aria-live": "polite" }, title),
      tag("p", { class: "label" }, w.label),
      w.wires === undefined ? tag("p", { class: "hint" }, "Its edges are not in this report.")
        : drawWiring(w, 360),
      tag("p", { class: "score" }, chip, tag("b", {}, error(w.error)), spread(w), tag("span", {},
        gap === null ? "" : `${gap > 0 ? "+" : ""}${error(gap)} against dense`)),
      tag("p", { class: "hint" }, data.error_name,
        seeds ? `, ${seeds} seed${seeds > 1 ? "s" : ""}` : ""),
      ...(seeds ? [drawSeeds(w)] : []),
      tag("dl", {}, ...facts.map(([name, value, kind]) =>
        tag("div", { class: kind || "" }, tag("dt", {}, name), tag("dd", {}, value)))));
  }

  function drawSlice({ title, axis, points, fit }) {
    const width = 400, box = { left: 58, right: 392, top: 8, bottom: 244 };
    const name = axis === "L" ? "path length L" : "clustering C";
    const chart = canvas(width, 290, { role: "img", "aria-label": `${title}: error by ${name}` });
    const seen = points.filter((point) => point.every(known));
    if (!fit?.coefficients.every(known)) fit = null;
    const domain = extent(seen.map((point) => point[0]), 0.04), curve = [];
    for (let k = 0; fit && k <= 60; k++) {
      const x = domain[0] + ((domain[1] - domain[0]) * k) / 60, [a, b, c] = fit.coefficients;
      curve.push([x, (a * x + b) * x + c]);
    }
    const heights = extent([...seen, ...curve].map((point) => point[1]), 0.08);
    const at = axes(chart, box, [domain, heights], [name, data.error_name], [6, 5]);
    if (dense?.error > heights[0] && dense.error < heights[1]) {
      const y = at.y(dense.error);
      chart.append(line(box.left, y, box.right, y, { class: "level" }),
        text(box.right - 2, y - 5, "dense", "end"));
    }
    const r = Math.max(1.6, Math.min(4.5, 30 / Math.sqrt(seen.length)));
    chart.append(svg("g", { class: "cloud" },
      ...seen.map(([x, y]) => svg("circle", { cx: at.x(x), cy: at.y(y), r }))));
    let words = "Too few points for a fit.";
    if (fit) {
      const turns = fit.vertex > domain[0] && fit.vertex < domain[1], x = at.x(fit.vertex);
      const path = curve.map((point) => `${at.x(point[0])} ${at.y(point[1])}`).join("L");
      if (turns) chart.append(line(x, box.top, x, box.bottom, { class: "vertex" }));
      chart.append(svg("path", { class: "fit", d: `M${path}` }));
      const extreme = fit.coefficients[0] < 0 ? "highest" : "lowest";
      words = `Second-degree fit, R² ${fixed(fit.r2)}; ` + (turns
        ? `${extreme} at ${axis} = ${fixed(fit.vertex)}.` : "no turning point within the data.");
    }
    return tag("figure", {}, tag("h3", {}, title), chart, tag("figcaption", {}, words));
  }

  const ROW = 31; // the height of a row in the style sheet
  const columns = [
    ["wiring", "id", nameOf], ["C", "C", (w) => fixed(w.C, 3)], ["L", "L", (w) => fixed(w.L, 3)],
    ["density", "density", (w) => fixed(w.density, 3)], ["width", "width", (w) => whole(w.width)],
    ["error", "error", (w) => error(w.error)], ["sd", "sd", (w) => error(w.sd)]];

  function drawTable() {
    const order = [...wirings.keys()], table = tag("table", { role: "grid", "aria-label":
      "All wirings. The arrow keys move, Enter chooses." });
    const heads = columns.map(([name], k) => {
      const button = tag("button", { type: "button" }, name);
      button.addEventListener("click", () =>
        sort(k, heads[k].getAttribute("aria-sort") === "ascending" ? -1 : 1));
      return tag("th", { scope: "col" }, button);
    });
    const head = tag("thead", {}, tag("tr", {}, ...heads));
    wirings.forEach((w, i) => {
      const cells = columns.map(([, , show]) => tag("td", {}, show(w)));
      const kind = w === dense ? "dense" : "";
      rows.push(tag("tr", { "data-index": i, tabindex: -1, class: kind }, ...cells));
    });
    const sort = (k, sign) => {
      const key = (i) => wirings[i][columns[k][1]] ?? null;
      order.sort((i, j) => {
        const a = key(i), b = key(j);
        if (a === null || b === null) return (a === null) - (b === null) || i - j;
        const by = known(a) && known(b) ? a - b
          : String(a).localeCompare(String(b), "en", { numeric: true });
        return sign * by || i - j;
      });
      heads.forEach((cell) => cell.removeAttribute("aria-sort"));
      heads[k].setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      table.replaceChildren(head);
      // In blocks, so that the browser lays out only those in sight.
      for (let start = 0; start < order.length; start += 50) {
        const block = tag("tbody", {}, ...order.slice(start, start + 50).map((i) => rows[i]));
        block.style.containIntrinsicHeight = `${block.children.length * ROW}px`;
        table.append(block);
      }
    };
    const pick = (row) => {
      choose(Number(row.dataset.index));
      const panel = $("panel").getBoundingClientRect();
      if (panel.bottom < 0 || panel.top > innerHeight) $("panel").scrollIntoView();
    };
    table.addEventListener("click", (event) => {
      const row = event.target.closest("tbody tr");
      if (row) pick(row);
    });
    table.addEventListener("keydown", (event) => {
      const row = event.target.closest("tbody tr"), at = order.indexOf(Number(row?.dataset.index));
      const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (way) rows[order[at + way]]?.focus();
      else if (row && (event.key === "Enter" || event.key === " ")) pick(row);
      else return;
      event.preventDefault();
    });
    $("table").append(table);
    sort(5, 1);
  }

  function drawKey() {
    const entry = (kind, words) => tag("span", {}, tag("i", { class: kind }), words);
    const where = spot ? `sweet spot, C ${range(spot.C)}, L ${range(spot.L)}` : "";
    if (spot) $("key").append(entry("key-spot", where));
    if (spot?.interval) $("key").append(entry("key-band", "where its edges may lie"));
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
  $("slices-section").hidden = !data.slices.length;
  $("slices").append(...data.slices.map(drawSlice));
  $("panel").hidden = !wirings.length;
  if (wirings.length) choose(wirings.indexOf(best));
  new ResizeObserver(() => {
    const width = $("plane").clientWidth;
    if (width >= 280 && width !== drawnWidth) requestAnimationFrame(drawPlane);
  }).observe($("plane"));
})();

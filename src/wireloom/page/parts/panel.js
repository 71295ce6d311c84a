// The panel of the chosen wiring: its picture, its error and seeds, its facts.
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

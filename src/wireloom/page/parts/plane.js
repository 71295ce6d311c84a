// The plane of wirings, with its legend and its key; points answer to pointer and keyboard.
let focused = -1, hovered = -1, drawnWidth = 0;
let marks = [], spots = [], ring = null;

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


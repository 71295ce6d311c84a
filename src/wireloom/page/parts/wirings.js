// The table of all wirings: it sorts by any column, and its rows choose.
const rows = [];
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

// The chosen wiring's row is marked, and brought into sight within the table.
function showRow(index) {
  rows[index].setAttribute("aria-selected", true);
  const list = $("table"), row = rows[index].getBoundingClientRect();
  const below = row.top - list.getBoundingClientRect().top - list.clientTop;
  if (below < ROW || below > list.clientHeight - ROW) {
    list.scrollTop += below - list.clientHeight / 2;
  }
}

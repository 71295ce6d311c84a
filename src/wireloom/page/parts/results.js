// The report's results, from the JSON in #data, and the colours that stand for them.
const data = JSON.parse($("data").textContent);
const dense = data.baseline, spot = data.sweet_spot;
const wirings = dense ? [...data.points, dense] : data.points;

const nameOf = (wiring) => (wiring === dense ? "dense" : String(wiring.id));
const seedsOf = (wiring) => (wiring.errors || []).filter(known);

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

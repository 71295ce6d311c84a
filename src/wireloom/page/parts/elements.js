// What the parts of the script draw with: elements, numbers as text, scales. Strings enter the page
// as text nodes and attribute values only, never as markup, so whatever they hold is shown and not
// run.
const $ = (id) => document.getElementById(id);
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

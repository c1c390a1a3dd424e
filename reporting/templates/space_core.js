// What all charts share: the values, elements, colours, the tooltip, controls and axes.
const data = JSON.parse(document.getElementById("data").textContent);
const models = data.models;
const NAMESPACE = "http://www.w3.org/2000/svg";
const MINUS = "\u2212";

// Names come in as text nodes and attributes only, never as markup.
function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function shape(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(NAMESPACE, tag), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function number(value, digits = 3) {
  if (value === null || value === undefined) return "\u2013";
  const size = Math.abs(value);
  const text = size >= 1000 || (Number.isInteger(value) && size >= 10)
    ? Math.round(value).toLocaleString("en-GB") : String(Number(value.toPrecision(digits)));
  return text.replace("-", MINUS);
}

function fixed(value, decimals) {
  return value === null ? "\u2013" : value.toFixed(decimals).replace(/^-(0\.?0*)$/, "$1").replace("-", MINUS);
}

// Charts are drawn for the width they have, and again when it or the colours change.
const painters = [];
function onPaint(paint) { painters.push(paint); paint(); }
function paintAll() { painters.forEach((paint) => paint()); }
let lastWidth = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === lastWidth) return;
  lastWidth = innerWidth;
  requestAnimationFrame(paintAll);
});
const darkness = matchMedia("(prefers-color-scheme: dark)");
darkness.addEventListener("change", paintAll);
// Paper is light.
let printing = false;
addEventListener("beforeprint", () => { printing = true; document.documentElement.dataset.theme = "light"; paintAll(); });
addEventListener("afterprint", () => { printing = false; delete document.documentElement.dataset.theme; paintAll(); });

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

const tip = document.getElementById("tip");
function showTip(x, y, title, lines = []) {
  tip.replaceChildren(element("b", {}, title), ...lines.flatMap((line, place) => (place ? ["\n", line] : [line])));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const left = x + 14 + box.width > innerWidth ? x - box.width - 14 : x + 14;
  const top = y + 14 + box.height > innerHeight ? y - box.height - 14 : y + 14;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, top)}px`;
}
function hideTip() { tip.hidden = true; }
addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
addEventListener("scroll", hideTip, { passive: true });

for (const measure of document.querySelectorAll(".measure")) {
  const show = () => {
    const box = measure.getBoundingClientRect();
    showTip(box.left, box.bottom - 6, measure.textContent, [measure.dataset.about, element("small", {}, measure.dataset.source)]);
  };
  measure.addEventListener("mouseenter", show);
  measure.addEventListener("focus", show);
  measure.addEventListener("mouseleave", hideTip);
  measure.addEventListener("blur", hideTip);
}

function modelKey(index) {
  const line = shape("line", { class: "model-line", x1: 1, y1: 5, x2: 17, y2: 5 });
  return element("span", { class: `key model-${index}` },
    shape("svg", { class: "swatch", viewBox: "0 0 18 10", "aria-hidden": "true" }, line), models[index].name);
}

// A drop-down list; options are [value, words].
function picker(label, options, value, change) {
  const select = element("select", { "aria-label": label, onchange: () => change(select.value) },
    ...options.map(([key, words]) => element("option", { value: key }, words)));
  select.value = value;
  return select;
}

// A row of buttons of which one is pressed.
function choice(label, options, value, change) {
  const buttons = options.map(([key, words]) => element("button", {
    type: "button", "aria-pressed": String(key === value),
    onclick: (event) => {
      buttons.forEach((button) => button.setAttribute("aria-pressed", String(button === event.currentTarget)));
      change(key);
    },
  }, words));
  return element("span", { class: "choice", role: "group", "aria-label": label }, ...buttons);
}

function controlsOf(name) { return document.querySelector(`[data-controls="${name}"]`); }
function chartOf(name) { return document.querySelector(`[data-chart="${name}"]`); }

// Round values within a domain, about so many.
function ticksOf([low, high], count = 5) {
  const raw = (high - low) / count;
  if (!(raw > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= raw * 0.999) * power;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) found.push(Number((k * step).toPrecision(12)));
  return found;
}

// A domain with a margin; a single value gets some room.
function padded(values, share = 0.06) {
  const low = Math.min(...values), high = Math.max(...values);
  const margin = high > low ? (high - low) * share : Math.abs(low) * 0.1 || 0.5;
  return [low - margin, high + margin];
}

// An SVG with axes, `place.x` and `place.y` from values to pixels.
function axes(holder, options) {
  const width = Math.max(holder.clientWidth, 300), height = options.height;
  const margin = { top: 14, right: 20, bottom: 44, left: 54, ...options.margin };
  const scale = ({ domain, log }, from, to) => {
    const turn = log ? Math.log : (value) => value;
    const [low, high] = domain.map(turn);
    return (value) => from + (to - from) * (high > low ? (turn(value) - low) / (high - low) : 0.5);
  };
  const place = {
    x: scale(options.x, margin.left, width - margin.right),
    y: scale(options.y, height - margin.bottom, margin.top),
  };
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": options.label });
  const floor = height - margin.bottom;
  for (const value of options.y.ticks ?? ticksOf(options.y.domain)) {
    const y = place.y(value);
    svg.append(shape("line", { class: "grid", x1: margin.left, x2: width - margin.right, y1: y, y2: y }),
      shape("text", { x: margin.left - 8, y: y + 4, "text-anchor": "end" }, number(value)));
  }
  for (const value of options.x.ticks ?? ticksOf(options.x.domain, width > 460 ? 7 : 5)) {
    const x = place.x(value);
    svg.append(shape("line", { class: "axis", x1: x, x2: x, y1: floor, y2: floor + 4 }),
      shape("text", { x, y: floor + 18, "text-anchor": "middle" }, number(value)));
  }
  svg.append(shape("line", { class: "axis", x1: margin.left, x2: width - margin.right, y1: floor, y2: floor }),
    shape("text", { x: (margin.left + width - margin.right) / 2, y: height - 6, "text-anchor": "middle" }, options.x.label));
  if (options.y.label) svg.append(shape("text", { x: margin.left - 46, y: 14, class: "strong" }, options.y.label));
  holder.replaceChildren(svg);
  return { svg, place, width, height, margin, floor };
}

// Move labels apart along y, as little as needed; they keep their order.
function spread(labels, gap, low, high) {
  labels.sort((a, b) => a.y - b.y);
  for (let round = 0; round < 60; round += 1) {
    for (let k = 1; k < labels.length; k += 1) {
      const missing = gap - (labels[k].y - labels[k - 1].y);
      if (missing > 0.01) { labels[k].y += missing / 2; labels[k - 1].y -= missing / 2; }
    }
    if (labels.length) {
      const over = labels[labels.length - 1].y - high, under = low - labels[0].y;
      if (over > 0) labels[labels.length - 1].y = high;
      if (under > 0) labels[0].y = low;
    }
  }
  return labels;
}

function cut(text, length) { return text.length > length ? `${text.slice(0, length - 1)}\u2026` : text; }

// A model's name, shortened in the middle: names of a family differ at their ends.
function brief(text, length) {
  const half = (length - 1) / 2;
  return text.length > length ? `${text.slice(0, Math.floor(half))}\u2026${text.slice(-Math.ceil(half))}` : text;
}

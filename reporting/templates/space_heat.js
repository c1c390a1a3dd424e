// Mean cosine of every two categories, one map a model, all on one scale of colours unless asked otherwise.
const HEAT = ["#f7fbff", "#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08519c", "#08306b"]
  .map((hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16)));
const heatState = { model: "all", scale: "common" };

function heatColour(share) {
  const at = Math.min(0.9999, Math.max(0, share)) * (HEAT.length - 1), k = Math.floor(at);
  return `rgb(${HEAT[k].map((low, part) => Math.round(low + (HEAT[k + 1][part] - low) * (at - k))).join(",")})`;
}

function heatRange(heats) {
  const values = heats.flat(2).filter((value) => value !== null);
  const low = Math.min(...values), high = Math.max(...values);
  return values.length ? [low, high > low ? high : low + 1e-6] : [0, 1];
}

const heatNames = data.heatOrder.map((category) => cut(data.categories[category].name, 28));
const heatLongest = Math.max(0, ...heatNames.map((name) => name.length));

// One map: `step` pixels a cell, `room` to the left for the names of the rows, none where they stand beside another map.
function heatMap(index, [low, high], step, room) {
  const { heat } = models[index], names = heatNames, size = names.length, side = step * size, width = room + side + 1;
  const text = Math.min(12, Math.max(7, step * 0.75)), below = 14 + text * 0.6 * heatLongest;
  const svg = shape("svg", { class: "map", viewBox: `0 0 ${width} ${side + below}`, tabindex: "0", role: "img", "aria-label": `Mean cosine of categories, ${models[index].name}; arrow keys move from cell to cell` });
  svg.style.maxWidth = `${width}px`;
  const frame = shape("rect", { class: "cell-frame", width: step, height: step, visibility: "hidden" });
  const values = step >= 27;
  heat.forEach((row, a) => {
    if (room) svg.append(shape("text", { x: room - 6, y: (a + 0.5) * step + text * 0.35, "text-anchor": "end", style: `font-size:${text}px` }, names[a]));
    const x = room + (a + 0.5) * step + text * 0.35, y = side + 6;
    svg.append(shape("text", { x, y, "text-anchor": "end", transform: `rotate(-90 ${x} ${y})`, style: `font-size:${text}px` }, names[a]));
    row.forEach((value, b) => {
      const share = value === null ? null : (value - low) / (high - low);
      svg.append(shape("rect", { x: room + b * step, y: a * step, width: step + 0.3, height: step + 0.3, style: share === null ? "fill:var(--rule)" : `fill:${heatColour(share)}` }));
      if (values && value !== null) {
        svg.append(shape("text", {
          x: room + (b + 0.5) * step, y: (a + 0.5) * step + 3.5, "text-anchor": "middle", style: `font-size:${Math.min(11, step * 0.3)}px;fill:${share > 0.55 ? "#fff" : "#1d1f21"}`,
        }, fixed(value, 2).replace(/^(\u2212?)0\./, "$1.")));
      }
    });
  });
  svg.append(frame);
  let cell = null;
  const read = (a, b, x, y) => {
    cell = [a, b];
    frame.setAttribute("x", room + b * step);
    frame.setAttribute("y", a * step);
    frame.setAttribute("visibility", "visible");
    const box = svg.getBoundingClientRect(), scale = box.width / width;
    const count = (k) => data.categories[data.heatOrder[k]].count.toLocaleString("en-GB");
    showTip(x ?? box.left + (room + (b + 1) * step) * scale, y ?? box.top + (a + 0.5) * step * scale, `${models[index].name}: ${fixed(heat[a][b], 3)}`,
      a === b ? [`within ${names[a]} (${count(a)} documents)`] : [`${names[a]} (${count(a)})`, `${names[b]} (${count(b)})`]);
  };
  const leave = () => { frame.setAttribute("visibility", "hidden"); hideTip(); };
  svg.addEventListener("mousemove", (event) => {
    const box = svg.getBoundingClientRect(), scale = width / box.width;
    const b = Math.floor(((event.clientX - box.left) * scale - room) / step), a = Math.floor(((event.clientY - box.top) * scale) / step);
    if (a >= 0 && b >= 0 && a < size && b < size) read(a, b, event.clientX, event.clientY); else leave();
  });
  svg.addEventListener("mouseleave", leave);
  svg.addEventListener("blur", leave);
  svg.addEventListener("keydown", (event) => {
    const move = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    if (!move) return;
    event.preventDefault();
    const [a, b] = cell ? cell.map((place, k) => Math.min(size - 1, Math.max(0, place + move[k]))) : [0, 0];
    read(a, b);
  });
  return svg;
}

function drawHeat() {
  const holder = chartOf("heat");
  const known = models.map((model, index) => index).filter((index) => models[index].heat);
  const listed = heatState.model === "all" ? known : known.filter((index) => index === Number(heatState.model));
  const columns = Math.min(listed.length, printing || listed.length === 4 || innerWidth < 900 ? 2 : 3), gap = 18;
  const common = heatRange(known.map((index) => models[index].heat));
  const width = printing ? 700 : Math.max(holder.parentElement.clientWidth, 320), room = 12 + Math.min(width / 4, 6 * heatLongest);
  const step = Math.min((width - room - gap * (columns - 1)) / columns / heatNames.length, Math.min(44, Math.max(28, 620 / heatNames.length))), side = step * heatNames.length;
  holder.style.gridTemplateColumns = Array.from({ length: columns }, (_, k) => `${k ? side : room + side}fr`).join(" ");
  holder.style.maxWidth = `${room + columns * side + gap * (columns - 1)}px`;
  holder.style.columnGap = `${gap}px`;
  holder.replaceChildren(...listed.map((index, place) => {
    const range = heatState.scale === "common" ? common : heatRange([models[index].heat]);
    const first = place % columns === 0, map = heatMap(index, range, step, first ? room : 0);
    const heading = element("h3", { style: first ? `padding-left:${(100 * room) / (room + side)}%` : "" }, modelKey(index));
    if (heatState.scale !== "common") heading.append(" ", heatScale(range));
    return element("div", { class: "panel" }, heading, map);
  }));
  const shared = document.getElementById("heat-scale");
  shared.replaceChildren(...(heatState.scale === "common" ? [heatScale(common)] : []));
}

function heatScale([low, high]) {
  const stops = HEAT.map((_, k) => heatColour(k / (HEAT.length - 1)));
  return element("span", { class: "scale" }, fixed(low, 2), element("i", { style: `background:linear-gradient(to right,${stops.join(",")})` }), fixed(high, 2));
}

if (chartOf("heat")) {
  const controls = [
    modelPicker(heatState, drawHeat),
    models.length > 1 ? choice("Colours", [["common", "one scale"], ["own", "scale by model"]], "common", (value) => { heatState.scale = value; drawHeat(); }) : null,
    element("span", { id: "heat-scale" }),
  ];
  controlsOf("heat").append(...controls.filter(Boolean));
  onPaint(drawHeat);
}

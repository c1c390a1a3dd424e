// Cosine histograms, the plane of uniformity and alignment, sweeps over graphs, percolation curves.

function rowHeight() {
  const drawn = models.filter((model) => model.cosines).length;
  return drawn > 5 ? 68 : drawn > 3 ? 84 : 104;
}

function drawHistograms() {
  const holder = chartOf("histograms");
  const drawn = models.map((model, index) => ({ model, index })).filter(({ model }) => model.cosines);
  const filledBins = drawn.flatMap(({ model: { cosines } }) =>
    cosines.within.flatMap((count, bin) => (count + cosines.between[bin] ? [cosines.edges[bin], cosines.edges[bin + 1]] : [])));
  const domain = filledBins.length ? padded(filledBins, 0.02) : [-1, 1];
  const row = rowHeight(), top = 8;
  const height = top + row * drawn.length + 44;
  const { svg, place, width, floor, margin } = axes(holder, {
    height, margin: { top, left: 4, right: 4 }, label: "Histograms of cosines within and between categories, by model",
    x: { domain, label: "Cosine of two documents" }, y: { domain: [0, 1], ticks: [] },
  });
  drawn.forEach(({ model, index }, line) => {
    const { edges, within, between } = model.cosines;
    const base = top + row * (line + 1) - 4;
    const sums = [within, between].map((counts) => counts.reduce((sum, count) => sum + count, 0));
    const shares = [within, between].map((counts, which) =>
      counts.map((count, bin) => (sums[which] ? count / sums[which] / (edges[bin + 1] - edges[bin]) : 0)));
    const most = Math.max(...shares.flat(), 1e-9);
    const group = shape("g", { class: `model-${index}` });
    const outline = (heights, closed) => {
      const used = heights.map((_, bin) => bin).filter((bin) => within[bin] + between[bin] > 0);
      const steps = used.map((bin) => {
        const y = base - (heights[bin] / most) * (row - 30);
        return `${place.x(edges[bin]).toFixed(1)},${y.toFixed(1)} ${place.x(edges[bin + 1]).toFixed(1)},${y.toFixed(1)}`;
      });
      if (!used.length) return "";
      const [first, last] = [place.x(edges[used[0]]), place.x(edges[used[used.length - 1] + 1])];
      return `M${first.toFixed(1)},${base} L${steps.join(" ")} L${last.toFixed(1)},${base}${closed ? " Z" : ""}`;
    };
    const means = [within, between].map((counts, which) => (sums[which]
      ? counts.reduce((sum, count, bin) => sum + (count * (edges[bin] + edges[bin + 1])) / 2, 0) / sums[which] : null));
    group.append(shape("line", { class: "grid", x1: margin.left, x2: width - margin.right, y1: base, y2: base }));
    if (sums[0]) group.append(shape("path", { class: "area", d: outline(shares[0], true) }), shape("path", { class: "outline", d: outline(shares[0], false) }));
    if (sums[1]) group.append(shape("path", { class: "other-line", d: outline(shares[1], false) }));
    means.forEach((mean, which) => {
      if (mean === null) return;
      const x = place.x(mean);
      group.append(shape("line", { class: which ? "other-line" : "curve", x1: x, x2: x, y1: base, y2: base + 5 }));
    });
    // Values stand on the side where there is room.
    const under = (from, to) => Math.max(0, ...shares.flatMap((heights) => heights.filter((_, bin) => place.x(edges[bin + 1]) > from && place.x(edges[bin]) < to)));
    const right = under(width - margin.right - 235, width) < under(0, margin.left + 235);
    const at = { x: right ? width - margin.right : margin.left, "text-anchor": right ? "end" : "start" };
    const effect = model.measures.cosine_effect_size?.[0], above = model.measures.cosine_superiority?.[0];
    const facts = [effect !== undefined && effect !== null ? `effect size ${fixed(effect, 2)}` : null,
      above !== undefined && above !== null ? `within above between ${(above * 100).toFixed(0)} %` : null].filter(Boolean);
    group.append(shape("text", { ...at, y: base - row + 24, class: "in-model halo" }, brief(model.name, 34)),
      shape("text", { ...at, y: base - row + 40, class: "halo" }, facts.join(", ")));
    group.append(hitArea(margin.left, base - row + 8, width - margin.left - margin.right, row, (event) => {
      const box = svg.getBoundingClientRect();
      const value = domain[0] + ((event.clientX - box.left) * (width / box.width) - margin.left) / (width - margin.left - margin.right) * (domain[1] - domain[0]);
      const bin = edges.findIndex((edge, k) => edge <= value && value < edges[k + 1]);
      if (bin < 0) return hideTip();
      const words = (which) => `${(sums[which] ? (100 * [within, between][which][bin]) / sums[which] : 0).toFixed(1)} %`;
      showTip(event.clientX, event.clientY, `${model.name}, cosine ${fixed(edges[bin], 2)} to ${fixed(edges[bin + 1], 2)}`,
        [`within categories: ${words(0)} (mean ${fixed(means[0], 3)})`, `between categories: ${words(1)} (mean ${fixed(means[1], 3)})`]);
      return undefined;
    }));
    svg.append(group);
  });
  return floor;
}

function hitArea(x, y, width, height, move) {
  return shape("rect", { x, y, width: Math.max(width, 0), height, fill: "transparent", onmousemove: move, onmouseleave: hideTip });
}

let planeMeasure = ["category_alignment", "alignment"].find((name) => models.some((model) => model.measures[name]?.[0] != null));
function drawPlane() {
  const holder = chartOf("plane");
  const spots = models.flatMap((model, index) => {
    const x = model.measures.uniformity, y = model.measures[planeMeasure];
    return x && y && x[0] !== null && y[0] !== null ? [{ model, index, x, y }] : [];
  });
  if (!spots.length) return holder.replaceChildren(element("p", { class: "note" }, "Undefined for all models."));
  const ends = (key) => padded(spots.flatMap((spot) => spot[key].filter((value) => value !== null)), 0.14);
  const planeHeight = Math.max(356, Math.min(520, rowHeight() * models.length + 52));
  const { svg, place, width, margin } = axes(holder, {
    height: planeHeight, margin: { top: 30, left: 52, right: 26 }, label: "Uniformity and alignment of the models",
    x: { domain: ends("x"), label: "Uniformity (lower is more even)" }, y: { domain: ends("y"), label: `${data.measures[planeMeasure]} (lower is nearer)` },
  });
  const home = spots.find((spot) => spot.index === data.reference);
  const labels = [];
  for (const spot of home ? spots.filter((one) => one !== home) : []) {
    svg.append(shape("line", { class: "lead", x1: place.x(home.x[0]), y1: place.y(home.y[0]), x2: place.x(spot.x[0]), y2: place.y(spot.y[0]) }));
  }
  for (const spot of spots) {
    const [x, y] = [place.x(spot.x[0]), place.y(spot.y[0])];
    const group = shape("g", { class: `model-${spot.index}` });
    if (spot.x[1] !== null) group.append(shape("line", { class: "model-line thin", x1: place.x(spot.x[1]), x2: place.x(spot.x[2]), y1: y, y2: y }));
    if (spot.y[1] !== null) group.append(shape("line", { class: "model-line thin", x1: x, x2: x, y1: place.y(spot.y[1]), y2: place.y(spot.y[2]) }));
    const words = (value) => `${number(value[0])}${value[1] === null ? "" : ` [${number(value[1])}, ${number(value[2])}]`}`;
    group.append(shape("circle", { class: "model-dot", cx: x, cy: y, r: 5 }), shape("circle", {
      cx: x, cy: y, r: 16, fill: "transparent", onmouseleave: hideTip,
      onmousemove: (event) => showTip(event.clientX, event.clientY, spot.model.name,
        [`${data.measures.uniformity}: ${words(spot.x)}`, `${data.measures[planeMeasure]}: ${words(spot.y)}`]),
    }));
    svg.append(group);
    labels.push({ index: spot.index, name: brief(spot.model.name, 26), x, y: y - 9, right: x > width - margin.right - 130 });
  }
  for (const side of [true, false]) {
    for (const label of spread(labels.filter((one) => one.right === side), 15, 40, planeHeight - 50)) {
      svg.append(shape("text", { class: `model-${label.index} in-model halo`, x: label.x + (side ? -9 : 9), y: label.y, "text-anchor": side ? "end" : "start" }, label.name));
    }
  }
  return undefined;
}

// Lines of all models with labels at their ends, and a rule that reads them off by pointer or arrow keys.
function lineChart(holder, options) {
  const { lines } = options;
  const widest = Math.max(...lines.map(({ index }) => brief(models[index].name, 22).length)) * 6.6 + 14;
  const { svg, place, width, height, margin, floor } = axes(holder, { ...options, margin: { top: 30, right: options.ends ? widest : 18, ...options.margin } });
  const labels = [];
  for (const { index, points } of lines) {
    let pen = "M";
    const path = points.map(([x, y]) => {
      if (y === null) { pen = "M"; return ""; }
      const step = `${pen}${place.x(x).toFixed(1)},${place.y(y).toFixed(1)}`;
      pen = "L";
      return step;
    }).join("");
    const group = shape("g", { class: `model-${index}` }, shape("path", { class: "curve", d: path }));
    if (points.length <= 30) {
      points.filter(([, y]) => y !== null).forEach(([x, y]) => group.append(shape("circle", { class: "model-dot", cx: place.x(x), cy: place.y(y), r: 2.6 })));
    }
    svg.append(group);
    const last = points.filter(([, y]) => y !== null).pop();
    if (last && options.ends) labels.push({ index, y: place.y(last[1]) + 4, from: place.x(last[0]) });
  }
  for (const label of spread(labels, 15, margin.top + 4, floor)) {
    svg.append(shape("text", { class: `model-${label.index} in-model halo`, x: width - margin.right + 8, y: label.y }, brief(models[label.index].name, 22)));
  }
  const rule = shape("line", { class: "cross", y1: margin.top, y2: floor, visibility: "hidden" });
  svg.append(rule);
  const stops = [...new Set(lines.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
  let stop = -1;
  const read = (place_, clientX, clientY) => {
    stop = place_;
    const x = stops[stop], at = place.x(x);
    rule.setAttribute("x1", at);
    rule.setAttribute("x2", at);
    rule.setAttribute("visibility", "visible");
    const box = svg.getBoundingClientRect();
    showTip(clientX ?? box.left + (at * box.width) / width, clientY ?? box.top + (margin.top + 20) * (box.height / height), options.reading(x),
      lines.map(({ index, points }) => `${models[index].name}: ${options.value(valueAt(points, x))}`));
  };
  const leave = () => { rule.setAttribute("visibility", "hidden"); hideTip(); };
  svg.append(shape("rect", {
    x: margin.left, y: margin.top, width: width - margin.left - margin.right, height: floor - margin.top, fill: "transparent", onmouseleave: leave,
    onmousemove: (event) => {
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) * width) / box.width;
      let nearest = 0;
      stops.forEach((value, k) => { if (Math.abs(place.x(value) - x) < Math.abs(place.x(stops[nearest]) - x)) nearest = k; });
      read(nearest, event.clientX, event.clientY);
    },
  }));
  svg.setAttribute("tabindex", "0");
  const stride = Math.max(1, Math.round(stops.length / 40));
  svg.addEventListener("keydown", (event) => {
    const move = { ArrowRight: stride, ArrowLeft: -stride }[event.key];
    if (!move || !stops.length) return;
    event.preventDefault();
    read(Math.min(stops.length - 1, Math.max(0, stop < 0 ? 0 : stop + move)));
  });
  svg.addEventListener("blur", leave);
  return { svg, place };
}

// The value of a line at x, between its points where it has none there.
function valueAt(points, x) {
  const after = points.findIndex(([at]) => at >= x);
  if (after < 0) return null;
  const [right, high] = points[after];
  if (right === x) return high;
  if (after === 0) return null;
  const [left, low] = points[after - 1];
  return low === null || high === null ? null : low + ((high - low) * (x - left)) / (right - left);
}

const GRAPHS = {
  threshold: ["by threshold", "Cosine from which documents are joined"],
  knn: ["by nearest neighbours", "Nearest neighbours of each document (logarithmic)"],
  mutual_knn: ["by mutual neighbours", "Nearest neighbours of each document (logarithmic)"],
  density: ["by density", "Share of all pairs that is joined (logarithmic)"],
};
const sweepKinds = Object.keys(GRAPHS).filter((kind) => models.some((model) => model.sweeps[kind]));
let sweepKind = sweepKinds[0];
// The share of the largest component by threshold is what the percolation curve beside it shows.
let sweepMeasure = ["graph_category_modularity", "graph_assortativity", "graph_louvain_modularity", "graph_clustering"].find((name) => sweepMeasures().includes(name));

function sweepMeasures() {
  return Object.keys(data.measures).filter((name) => models.some((model) => model.sweeps[sweepKind]?.measures[name]?.some((value) => value !== null)));
}
function drawSweepControls() {
  const names = sweepMeasures();
  if (!names.includes(sweepMeasure)) [sweepMeasure] = names;
  controlsOf("sweeps").replaceChildren(
    picker("Measure", names.map((name) => [name, data.measures[name]]), sweepMeasure, (value) => { sweepMeasure = value; drawSweeps(); }),
    picker("Kind of graph", sweepKinds.map((kind) => [kind, GRAPHS[kind][0]]), sweepKind, (value) => { sweepKind = value; drawSweepControls(); drawSweeps(); }));
}
function drawSweeps() {
  const lines = models.flatMap((model, index) => {
    const sweep = model.sweeps[sweepKind], found = sweep?.measures[sweepMeasure];
    return found ? [{ index, points: sweep.values.map((x, k) => [x, found[k]]).sort((a, b) => a[0] - b[0]) }] : [];
  });
  if (!lines.length) return;
  const xs = lines.flatMap(({ points }) => points.map(([x]) => x)), ys = lines.flatMap(({ points }) => points.map(([, y]) => y)).filter((y) => y !== null);
  const log = sweepKind !== "threshold" && Math.min(...xs) > 0;
  const xDomain = [Math.min(...xs), Math.max(...xs)];
  const [low, high] = padded([...ys, 0], 0);
  lineChart(chartOf("sweeps"), {
    height: 340, lines, ends: true, label: `${data.measures[sweepMeasure]} of similarity graphs ${GRAPHS[sweepKind][0]}`,
    x: { domain: log || xDomain[1] > xDomain[0] ? xDomain : padded(xDomain), log, label: GRAPHS[sweepKind][1], ticks: log ? sparse(xs, xDomain) : undefined },
    y: { domain: [low, high + (high - low) * 0.04], label: data.measures[sweepMeasure] },
    reading: (x) => ({ threshold: `threshold ${number(x)}`, density: `density ${number(x)}` })[sweepKind] ?? `${number(x)} neighbours`,
    value: (y) => number(y),
  });
}

// Of the values on a logarithmic axis those that leave room for their labels.
function sparse(values, [low, high]) {
  const kept = [];
  for (const value of [...new Set(values)].sort((a, b) => a - b)) {
    if (!kept.length || Math.log(value / kept[kept.length - 1]) > Math.log(high / low) * 0.085) kept.push(value);
  }
  return kept;
}

function drawPercolation() {
  const lines = models.flatMap((model, index) => (model.percolation
    ? [{ index, points: model.percolation.thresholds.map((x, k) => [x, model.percolation.share[k]]) }] : []));
  const xs = lines.flatMap(({ points }) => points.map(([x]) => x));
  if (!xs.length) return chartOf("percolation").replaceChildren(element("p", { class: "note" }, "Undefined for all models."));
  // The part of the axis on which something happens.
  const active = lines.flatMap(({ points }) => points.filter(([, y]) => y > 0.01 && y < 0.995).map(([x]) => x));
  const domain = active.length ? padded(active, 0.08) : padded(xs);
  const clipped = lines.map(({ index, points }) => ({ index, points: points.filter(([x]) => x >= domain[0] && x <= domain[1]) }));
  // Names stand above the plot over their thresholds, in as many rows as keep them apart.
  const holder = chartOf("percolation"), width = Math.max(holder.clientWidth, 300), perUnit = (width - 74) / (domain[1] - domain[0]);
  const ends = [];
  const labels = lines.map(({ index }) => ({ index, at: models[index].percolation.threshold })).filter(({ at }) => at !== null).sort((a, b) => a.at - b.at);
  for (const label of labels) {
    label.text = `${brief(models[label.index].name, 22)} ${fixed(label.at, 2)}`;
    const half = label.text.length * 3.4 + 6, x = Math.min(Math.max((label.at - domain[0]) * perUnit, half - 40), width - 60 - half);
    label.row = ends.findIndex((end) => end < x - half);
    if (label.row < 0) label.row = ends.length;
    ends[label.row] = x + half;
    label.x = x + 54;
  }
  const top = 26 + ends.length * 16;
  const { svg, place } = lineChart(holder, {
    height: 340, lines: clipped, ends: false, label: "Share of the documents in the largest group, by threshold", margin: { top, right: 20 },
    x: { domain, label: "Cosine from which documents are joined" },
    y: { domain: [0, 1.02], label: "Share of the documents in the largest group", ticks: [0, 0.25, 0.5, 0.75, 1] },
    reading: (x) => `threshold ${fixed(x, 3)}`, value: (y) => (y === null ? "\u2013" : `${(100 * y).toFixed(1)} %`),
  });
  for (const label of labels) {
    const x = place.x(label.at), y = place.y(0.5), base = 34 + label.row * 16;
    svg.append(shape("g", { class: `model-${label.index}` }, shape("line", { class: "lead", x1: x, x2: x, y1: base + 4, y2: y }),
      shape("circle", { class: "model-dot", cx: x, cy: y, r: 4.5 }),
      shape("text", { class: "in-model halo", x: label.x, y: base, "text-anchor": "middle" }, label.text)));
  }
  return undefined;
}

if (chartOf("histograms")) onPaint(drawHistograms);
if (chartOf("plane")) {
  const known = ["category_alignment", "alignment"].filter((name) => models.some((model) => model.measures[name]?.[0] != null));
  if (known.length > 1) controlsOf("plane").append(picker("Alignment", known.map((name) => [name, data.measures[name]]), planeMeasure, (value) => { planeMeasure = value; drawPlane(); }));
  onPaint(drawPlane);
}
if (chartOf("sweeps") && sweepKinds.length) { drawSweepControls(); onPaint(drawSweeps); }
if (chartOf("percolation")) onPaint(drawPercolation);

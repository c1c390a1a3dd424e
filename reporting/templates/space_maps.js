// Maps and graph drawings on canvases; categories brought out by the legend, a document found in every panel.
const chosen = new Set(); // numbers of categories, -1 for documents without one; empty: all
const views = [];
let pointed = null; // place of a document in data.documents

function lookOf(category) {
  return category < 0 ? { colour: null, shape: "disc" } : data.categories[category];
}

function palette() {
  return { paper: colour("paper"), ink: colour("ink"), rule: colour("rule-2"), grey: colour("other"), colours: [0, 1, 2, 3, 4, 5, 6].map((k) => colour(`c${k}`)) };
}

function mark(context, kind, x, y, r) {
  context.beginPath();
  if (kind === "disc") context.arc(x, y, r, 0, 7);
  else if (kind === "square") context.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8);
  else if (kind === "triangle") {
    context.moveTo(x, y - r * 1.25);
    context.lineTo(x + r * 1.15, y + r * 0.85);
    context.lineTo(x - r * 1.15, y + r * 0.85);
    context.closePath();
  } else {
    context.moveTo(x - r, y - r); context.lineTo(x + r, y + r);
    context.moveTo(x + r, y - r); context.lineTo(x - r, y + r);
  }
  if (kind === "square" || kind === "cross") context.stroke(); else context.fill();
}

// A panel: `documents` places in data.documents, `points` x and y in turn on a grid of 0 to 9,999, `edges` pairs of points.
class View {
  constructor(name, { documents, points, edges = [] }) {
    Object.assign(this, { documents, points, edges, zoom: 1, shiftX: 0, shiftY: 0, drawn: document.createElement("canvas") });
    this.canvas = element("canvas", { tabindex: "0", role: "img", "aria-label": `${name}; plus, minus and arrow keys zoom and move` });
    const tool = (words, label, act) => element("button", { type: "button", "aria-label": label, onclick: act }, words);
    this.tools = element("div", { class: "zoom" }, tool("+", "Zoom in", () => this.scale(1.5)),
      tool(MINUS, "Zoom out", () => this.scale(1 / 1.5)), tool("\u25cb", "Whole map", () => this.reset()));
    this.listen();
  }

  listen() {
    const { canvas } = this;
    let grip = null;
    canvas.addEventListener("pointerdown", (event) => { grip = [event.clientX, event.clientY]; canvas.setPointerCapture(event.pointerId); });
    canvas.addEventListener("pointerup", () => { grip = null; });
    canvas.addEventListener("pointercancel", () => { grip = null; });
    canvas.addEventListener("pointermove", (event) => {
      if (grip && event.buttons) {
        this.shiftX += (event.clientX - grip[0]) / this.size;
        this.shiftY += (event.clientY - grip[1]) / this.size;
        grip = [event.clientX, event.clientY];
        this.paint();
      } else this.point(event);
    });
    canvas.addEventListener("pointerleave", () => setPointed(null));
    canvas.addEventListener("dblclick", (event) => this.scale(1.8, ...this.within(event)));
    // The wheel alone scrolls the page.
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.scale(Math.exp(-event.deltaY / 250), ...this.within(event));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const act = {
        "+": () => this.scale(1.3), "=": () => this.scale(1.3), "-": () => this.scale(1 / 1.3), 0: () => this.reset(),
        ArrowLeft: () => this.move(0.1, 0), ArrowRight: () => this.move(-0.1, 0), ArrowUp: () => this.move(0, 0.1), ArrowDown: () => this.move(0, -0.1),
      }[event.key];
      if (!act || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      act();
    });
  }

  within(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  move(x, y) { this.shiftX += x; this.shiftY += y; this.paint(); }
  reset() { Object.assign(this, { zoom: 1, shiftX: 0, shiftY: 0 }); this.paint(); }
  scale(factor, x = 0.5, y = 0.5) {
    const zoom = Math.min(40, Math.max(1, this.zoom * factor)), real = zoom / this.zoom;
    this.shiftX = x - (x - this.shiftX) * real;
    this.shiftY = y - (y - this.shiftY) * real;
    this.zoom = zoom;
    if (zoom === 1) this.shiftX = this.shiftY = 0;
    this.paint();
  }

  // Pixels of point k, in the canvas' own units.
  at(k) {
    const margin = 0.03, step = (1 - 2 * margin) / 9999;
    return [((margin + this.points[2 * k] * step) * this.zoom + this.shiftX) * this.size, ((margin + this.points[2 * k + 1] * step) * this.zoom + this.shiftY) * this.size];
  }

  shown(k) {
    if (this.points[2 * k] === null) return false;
    return !chosen.size || chosen.has(data.documents.categories[this.documents[k]]);
  }

  point(event) {
    const [fx, fy] = this.within(event), x = fx * this.size, y = fy * this.size;
    let best = 12 ** 2, found = null;
    for (let k = 0; k < this.documents.length; k += 1) {
      if (!this.shown(k)) continue;
      const [px, py] = this.at(k), distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < best) { best = distance; found = this.documents[k]; }
    }
    setPointed(found, event);
  }

  paint() {
    const width = this.canvas.clientWidth;
    if (!width) return;
    const ratio = Math.max(2, devicePixelRatio || 1); // at least 2, so that a printed map is sharp
    this.size = width;
    this.ratio = ratio;
    this.canvas.width = this.canvas.height = this.drawn.width = this.drawn.height = Math.round(width * ratio);
    const context = this.drawn.getContext("2d"), { colours, grey, rule } = palette();
    context.scale(ratio, ratio);
    const near = ([x, y]) => x > -9 && y > -9 && x < width + 9 && y < width + 9;
    if (this.edges.length) {
      context.strokeStyle = rule;
      context.lineWidth = 0.7;
      for (const strong of chosen.size ? [false, true] : [true]) {
        context.globalAlpha = strong ? 0.8 : 0.2;
        context.beginPath();
        for (let k = 0; k < this.edges.length; k += 2) {
          if ((this.shown(this.edges[k]) && this.shown(this.edges[k + 1])) !== strong) continue;
          context.moveTo(...this.at(this.edges[k]));
          context.lineTo(...this.at(this.edges[k + 1]));
        }
        context.stroke();
      }
    }
    const count = this.documents.length;
    const radius = Math.min(5, (count > 3000 ? 1.7 : count > 1200 ? 2.2 : count > 400 ? 2.8 : 3.6) * (width / 400) ** 0.5 * this.zoom ** 0.35);
    for (const strong of chosen.size ? [false, true] : [true]) {
      context.globalAlpha = strong ? 0.85 : 0.25;
      for (let k = 0; k < count; k += 1) {
        if (this.points[2 * k] === null || this.shown(k) !== strong) continue;
        const spot = this.at(k);
        if (!near(spot)) continue;
        const look = lookOf(data.documents.categories[this.documents[k]]);
        context.fillStyle = context.strokeStyle = strong && look.colour !== null ? colours[look.colour] : grey;
        context.lineWidth = Math.max(1.1, radius * 0.55);
        mark(context, look.shape, spot[0], spot[1], radius);
      }
    }
    this.radius = radius;
    this.ring();
  }

  // The finished drawing with a ring around the document that is pointed at: thousands of points are not drawn again.
  ring() {
    if (!this.radius) return;
    const context = this.canvas.getContext("2d"), { ink, paper } = palette();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(this.drawn, 0, 0);
    context.scale(this.ratio, this.ratio);
    const places = pointed === null ? [] : this.documents.flatMap((document_, k) => (document_ === pointed && this.points[2 * k] !== null ? [k] : []));
    for (const k of places) {
      const [x, y] = this.at(k);
      for (const [stroke, line] of [[paper, 5], [ink, 2]]) {
        context.strokeStyle = stroke;
        context.lineWidth = line;
        context.beginPath();
        context.arc(x, y, this.radius + 4, 0, 7);
        context.stroke();
      }
    }
  }
}

function setPointed(document_, event) {
  if (document_ === null) hideTip();
  else {
    const category = data.documents.categories[document_], split = data.documents.splits[document_];
    showTip(event.clientX, event.clientY, data.documents.ids[document_],
      [category < 0 ? (data.categories.length ? "no category" : null) : data.categories[category].name, split ? element("small", {}, split) : null].filter(Boolean));
  }
  if (pointed === document_) return;
  pointed = document_;
  views.forEach((view) => view.ring());
}

// Panels of all models or of one; `source` gives what a View draws, or the reason why there is nothing.
function panels(name, state, source) {
  const holder = chartOf(name);
  views.filter((view) => view.holder === holder).forEach((view) => views.splice(views.indexOf(view), 1));
  const listed = state.model === "all" ? models.map((_, index) => index) : [Number(state.model)];
  const columns = listed.length === 1 ? 1 : listed.length === 2 || listed.length === 4 ? 2 : 3;
  holder.style.setProperty("--columns", columns);
  holder.classList.toggle("single", listed.length === 1);
  holder.style.maxWidth = listed.length === 1 ? "640px" : columns === 2 ? "1000px" : "";
  holder.replaceChildren(...listed.map((index) => {
    const heading = element("h3", {}, modelKey(index)), found = source(models[index]);
    if (typeof found === "string") return element("div", { class: "panel" }, heading, element("p", { class: "missing" }, found));
    const view = new View(`${models[index].name}: ${state.label()}`, found);
    view.holder = holder;
    views.push(view);
    return element("div", { class: "panel" }, heading, view.canvas, view.tools);
  }));
  views.filter((view) => view.holder === holder).forEach((view) => view.paint());
}

function modelPicker(state, draw) {
  if (models.length < 2) return null;
  return picker("Model", [["all", "all models side by side"], ...models.map((model, index) => [String(index), model.name])], state.model, (value) => { state.model = value; draw(); });
}

const mapState = { kind: "tsne", model: "all", label: () => (mapState.kind === "pca" ? "PCA" : "t-SNE") };
function drawMaps() {
  panels("maps", mapState, (model) => {
    const points = model.maps[mapState.kind];
    return points ? { documents: data.shown, points } : `There is no ${mapState.label()} map of this model.`;
  });
}
const drawingState = { model: "all", label: () => "similarity graph" };
function drawDrawings() {
  panels("drawing", drawingState, ({ drawing }) => (drawing ? { documents: drawing.nodes, points: drawing.points, edges: drawing.edges } : "There is no drawing of this model."));
}

function swatch(look) {
  const style = `stroke:${look.colour === null ? "var(--other)" : `var(--c${look.colour})`};stroke-width:1.6;fill:`;
  const filledIn = style + (look.colour === null ? "var(--other)" : `var(--c${look.colour})`), open = `${style}none`;
  const inner = {
    disc: () => shape("circle", { cx: 7, cy: 7, r: 3.6, style: filledIn }), square: () => shape("rect", { x: 3, y: 3, width: 8, height: 8, style: open }),
    triangle: () => shape("path", { d: "M7 2.6 L11.4 11 L2.6 11 Z", style: filledIn }), cross: () => shape("path", { d: "M3 3 L11 11 M11 3 L3 11", style: open }),
  }[look.shape]();
  return shape("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" }, inner);
}

const LEGEND_LENGTH = 60;
function buildLegends() {
  if (!data.categories.length) return;
  const buttons = [];
  const refresh = () => {
    buttons.forEach(({ button, category }) => button.setAttribute("aria-pressed", String(chosen.has(category))));
    document.querySelectorAll("[data-legend]").forEach((legend) => legend.classList.toggle("chosen", chosen.size > 0));
    document.querySelectorAll(".legend .clear").forEach((clear) => { clear.disabled = !chosen.size; });
    views.forEach((view) => view.paint());
  };
  const listed = data.byFrequency.slice(0, LEGEND_LENGTH);
  if (data.documents.categories.includes(-1)) listed.push(-1);
  for (const legend of document.querySelectorAll("[data-legend]")) {
    for (const category of listed) {
      const name = category < 0 ? "no category" : data.categories[category].name;
      const button = element("button", {
        type: "button", "aria-pressed": "false", title: name,
        onclick: () => { if (!chosen.delete(category)) chosen.add(category); refresh(); },
      }, swatch(lookOf(category)), element("span", { class: "name" }, name),
      category < 0 ? null : element("span", { class: "count" }, number(data.categories[category].count)));
      buttons.push({ button, category });
      legend.append(button);
    }
    legend.append(element("button", { type: "button", class: "clear", disabled: "", onclick: () => { chosen.clear(); refresh(); } }, "Show all alike"));
    const rest = data.byFrequency.length - LEGEND_LENGTH;
    if (rest > 0) legend.append(element("span", { class: "hint" }, `and ${rest.toLocaleString("en-GB")} rarer categories in grey`));
  }
}

{
  if (!models.some((model) => model.maps.tsne)) mapState.kind = "pca";
  const kinds = [["tsne", "t-SNE"], ["pca", "PCA"]].filter(([kind]) => models.some((model) => model.maps[kind]));
  const controls = [kinds.length > 1 ? choice("Projection", kinds, mapState.kind, (value) => { mapState.kind = value; drawMaps(); }) : null, modelPicker(mapState, drawMaps)];
  controlsOf("maps").append(...controls.filter(Boolean));
  buildLegends();
  onPaint(drawMaps);
  if (chartOf("drawing")) {
    const controls_ = modelPicker(drawingState, drawDrawings);
    if (controls_) controlsOf("drawing").append(controls_);
    const kinds_ = [...new Set(models.map((model) => model.drawing?.kind).filter(Boolean))];
    document.querySelector("[data-drawing-kind]").textContent = `Documents joined ${kinds_.map((kind) => GRAPHS[kind][0]).join(", ")}.`;
    onPaint(drawDrawings);
  }
}

// The drawing: a canvas, because it draws thousands of boxes and edges in a few milliseconds.

const canvas = document.getElementById("map");
const stage = document.getElementById("stage");
const tip = document.getElementById("tip");
const pen = canvas.getContext("2d");
const camera = { x: 0, y: 0, scale: 1 };
const view = { width: 0, height: 0, ratio: 1 };
// What is shown beyond the plan itself.
const state = {
  chosen: -1, // a pipe, or -1
  before: new Set(), // what it depends on
  after: new Set(), // what depends on it
  hovered: -1,
  found: null, // the pipes that were searched for, or null
  critical: false,
  colours: coloursBy(null),
};
const READABLE = 0.55; // from this scale on, ids can be read
const HEAD = 30; // the strip with the names of the generations
const MARGIN = 36;
const BOX = plan.boxHeight;
const GAP = plan.bandGap;
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
let ink = {};
let waiting = false;

function readInk() {
  const style = getComputedStyle(document.documentElement);
  const names = ["page", "card", "band", "line", "text", "soft", "edge", "box", "box-line", "accent", "before", "after", "critical", "found"];
  ink = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    draw();
  });
}

function measure() {
  const box = stage.getBoundingClientRect();
  Object.assign(view, { width: box.width, height: box.height, ratio: window.devicePixelRatio || 1 });
  canvas.width = Math.max(1, Math.round(view.width * view.ratio));
  canvas.height = Math.max(1, Math.round(view.height * view.ratio));
  redraw();
}

// ---- camera ----

const smallest = () => Math.min(0.9, 0.6 * fitted().scale);

/** The camera that sees everything, above the legend. */
function fitted() {
  const below = document.getElementById("legend").offsetHeight;
  const width = Math.max(1, view.width - 2 * MARGIN);
  const free = view.height - HEAD - below;
  const height = Math.max(1, free - 2 * MARGIN);
  const scale = Math.min(1.4, width / Math.max(1, plan.width), height / Math.max(1, plan.height));
  return {
    scale,
    x: (view.width - plan.width * scale) / 2,
    y: HEAD + (free - plan.height * scale) / 2,
  };
}

function zoomAt(factor, x = view.width / 2, y = view.height / 2) {
  const scale = Math.min(3, Math.max(smallest(), camera.scale * factor));
  const real = scale / camera.scale;
  Object.assign(camera, { scale, x: x - (x - camera.x) * real, y: y - (y - camera.y) * real });
  keepInSight();
  redraw();
}

function pan(dx, dy) {
  camera.x += dx;
  camera.y += dy;
  keepInSight();
  redraw();
}

/** Part of the drawing always stays on the screen: nobody gets lost beside it. */
function keepInSight() {
  const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
  camera.x = clamp(camera.x, 120 - plan.width * camera.scale, view.width - 120);
  camera.y = clamp(camera.y, 120 - plan.height * camera.scale, view.height - 120);
}

const calm = matchMedia("(prefers-reduced-motion: reduce)");
let flight = 0;

function flyTo(goal) {
  const mine = ++flight;
  const from = { ...camera };
  const began = performance.now();
  const step = () => {
    if (mine !== flight) return;
    const passed = calm.matches ? 1 : Math.min(1, (performance.now() - began) / 280);
    const eased = 1 - (1 - passed) ** 3;
    for (const key of ["x", "y", "scale"]) camera[key] = from[key] + (goal[key] - from[key]) * eased;
    draw();
    if (passed < 1) requestAnimationFrame(step);
  };
  step();
}

function flyToPipe(n) {
  const pipe = pipes[n];
  const scale = Math.max(camera.scale, 0.8);
  flyTo({
    scale,
    x: view.width / 2 - (pipe.x + pipe.width / 2) * scale,
    y: (view.height + HEAD) / 2 - (pipe.y + BOX / 2) * scale,
  });
}

function inSight(n) {
  const x = pipes[n].x * camera.scale + camera.x;
  const y = pipes[n].y * camera.scale + camera.y;
  return x > 0 && y > HEAD && x + pipes[n].width * camera.scale < view.width && y < view.height - BOX;
}

function pipeAt(x, y) {
  const px = (x - camera.x) / camera.scale;
  const py = (y - camera.y) / camera.scale;
  const slack = 3 / camera.scale;
  return pipes.findIndex((pipe) => px >= pipe.x - slack && px <= pipe.x + pipe.width + slack
    && py >= pipe.y - slack && py <= pipe.y + BOX + slack);
}

// ---- drawing ----

function draw() {
  pen.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
  pen.fillStyle = ink.page;
  pen.fillRect(0, 0, view.width, view.height);
  drawBands();
  const { scale } = camera;
  pen.setTransform(view.ratio * scale, 0, 0, view.ratio * scale, view.ratio * camera.x, view.ratio * camera.y);
  drawEdges();
  drawBoxes();
  pen.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
  drawHeads();
}

function drawBands() {
  pen.fillStyle = ink.band;
  plan.bands.forEach((band, n) => {
    if (n % 2) return;
    pen.fillRect((band.x - GAP / 2) * camera.scale + camera.x, 0, (band.width + GAP) * camera.scale, view.height);
  });
}

function drawHeads() {
  pen.fillStyle = ink.card;
  pen.fillRect(0, 0, view.width, HEAD);
  pen.fillStyle = ink.line;
  pen.fillRect(0, HEAD - 1, view.width, 1);
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  let free = 0; // where the last label ended
  plan.bands.forEach((band, n) => {
    const left = Math.max(0, (band.x - GAP / 2) * camera.scale + camera.x);
    const right = Math.min(view.width, (band.x + band.width + GAP / 2) * camera.scale + camera.x);
    if (right - left < 8) return;
    const long = `Generation ${n}  ·  ${band.count}`;
    pen.font = `600 12px ${FONT}`;
    const text = pen.measureText(long).width + 16 < right - left ? long : `${n}`;
    const width = pen.measureText(text).width;
    const middle = (left + right) / 2;
    if (middle - width / 2 < free) return;
    free = middle + width / 2 + 6;
    pen.fillStyle = ink.soft;
    pen.fillText(text, middle, HEAD / 2);
  });
}

/** How an edge is drawn: the later kinds over the earlier ones. */
function kindOfEdge(from, to) {
  const { chosen, before, after, hovered } = state;
  if (state.critical && criticalEdges.has(`${from} ${to}`)) return "critical";
  if (chosen >= 0) {
    if (before.has(from) && (before.has(to) || to === chosen)) return "before";
    if (after.has(to) && (after.has(from) || from === chosen)) return "after";
  }
  if (from === hovered || to === hovered) return "hovered";
  return chosen >= 0 || state.found || state.critical ? "faint" : "plain";
}

function drawEdges() {
  const kinds = { faint: [], plain: [], hovered: [], after: [], before: [], critical: [] };
  const left = -camera.x / camera.scale;
  const right = left + view.width / camera.scale;
  const top = -camera.y / camera.scale;
  const bottom = top + view.height / camera.scale;
  for (const edge of edges) {
    if (edge.right < left || edge.left > right || edge.bottom < top || edge.top > bottom) continue;
    kinds[kindOfEdge(edge.from, edge.to)].push(edge);
  }
  const looks = {
    faint: [ink.edge, 0.1, 1],
    plain: [ink.edge, camera.scale < 0.3 ? 0.3 : 0.5, 1.1],
    hovered: [ink.text, 0.9, 1.4],
    after: [ink.after, 0.85, 1.7],
    before: [ink.before, 0.85, 1.7],
    critical: [ink.critical, 1, 2.6],
  };
  for (const [kind, drawn] of Object.entries(kinds)) {
    const [colour, alpha, width] = looks[kind];
    pen.globalAlpha = alpha;
    pen.strokeStyle = pen.fillStyle = colour;
    // Never thinner than a part of a pixel: from far away edges stay a texture.
    pen.lineWidth = Math.max(width, (kind === "plain" || kind === "faint" ? 0.45 : 1.1) / camera.scale);
    pen.beginPath();
    for (const edge of drawn) trace(edge);
    pen.stroke();
    if (camera.scale > 0.45 && kind !== "faint") {
      pen.beginPath();
      for (const edge of drawn) arrowHead(edge, 4 + pen.lineWidth);
      pen.fill();
    }
  }
  pen.globalAlpha = 1;
}

/** An edge as points: its ends, and where it enters and leaves the bands that it passes. */
const edges = plan.edges.map(([from, to, ...heights]) => {
  const a = pipes[from];
  const b = pipes[to];
  const sign = a.x + a.width <= b.x ? 1 : -1;
  const out = sign > 0 ? a.x + a.width : a.x;
  const into = sign > 0 ? b.x : b.x + b.width;
  const points = [[out, a.y + BOX / 2]];
  heights.forEach((y, n) => {
    const band = plan.bands[a.generation + sign * (n + 1)];
    const [near, far] = sign > 0 ? [band.x, band.x + band.width] : [band.x + band.width, band.x];
    points.push([near - sign * 10, y], [far + sign * 10, y]);
  });
  points.push([into - sign * 4, b.y + BOX / 2]);
  const ys = points.map(([, y]) => y);
  return {
    from, to, sign, points, into,
    left: Math.min(out, into), right: Math.max(out, into), top: Math.min(...ys), bottom: Math.max(...ys),
  };
});

function trace({ points, sign, into }) {
  let [[x, y]] = points;
  pen.moveTo(x, y);
  for (let n = 1; n < points.length; n += 1) {
    const [nextX, nextY] = points[n];
    if (n % 2) {
      const bend = sign * Math.min(140, Math.max(26, Math.abs(nextX - x) / 2));
      pen.bezierCurveTo(x + bend, y, nextX - bend, nextY, nextX, nextY);
    } else {
      pen.lineTo(nextX, nextY);
    }
    [x, y] = [nextX, nextY];
  }
  pen.lineTo(into, y);
}

function arrowHead({ points, sign, into }, size) {
  const [, y] = points[points.length - 1];
  pen.moveTo(into, y);
  pen.lineTo(into - sign * size, y - size * 0.55);
  pen.lineTo(into - sign * size, y + size * 0.55);
  pen.closePath();
}

function kindOfBox(n) {
  if (n === state.chosen) return "chosen";
  if (state.critical && criticalPipes.has(n)) return "critical";
  if (state.before.has(n)) return "before";
  if (state.after.has(n)) return "after";
  if (state.found && state.found.has(n)) return "found";
  if (n === state.hovered) return "hovered";
  return state.chosen >= 0 || state.found || state.critical ? "faint" : "plain";
}

function drawBoxes() {
  const { scale } = camera;
  const far = scale < 0.34;
  pen.font = `12px ${FONT}`;
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  for (let n = 0; n < pipes.length; n += 1) {
    const pipe = pipes[n];
    const x = pipe.x * scale + camera.x;
    const y = pipe.y * scale + camera.y;
    if (x > view.width || y > view.height || x + pipe.width * scale < 0 || y + BOX * scale < 0) continue;
    drawBox(pipe, kindOfBox(n), state.colours.ofPipe[n], far);
    additions.mark(pipe, n, far);
  }
  pen.globalAlpha = 1;
}

function drawBox(pipe, kind, colour, far) {
  const lines = { plain: ink["box-line"], faint: ink["box-line"], hovered: ink.text, chosen: ink.accent };
  const line = lines[kind] || ink[kind];
  const marked = kind !== "plain" && kind !== "faint";
  const thick = kind === "chosen" || kind === "critical" || kind === "found" ? 2.2 : 1.2;
  pen.globalAlpha = kind === "faint" ? 0.34 : 1;
  pen.beginPath();
  pen.roundRect(pipe.x, pipe.y, pipe.width, BOX, 6);
  pen.fillStyle = ink.box;
  if (kind === "chosen") pen.fillStyle = ink.accent;
  else if (far && marked) pen.fillStyle = line;
  else if (far && colour) pen.fillStyle = colour;
  pen.fill();
  if (colour && !far && kind !== "chosen") {
    pen.fillStyle = colour;
    pen.beginPath();
    pen.roundRect(pipe.x, pipe.y, 7, BOX, [6, 0, 0, 6]);
    pen.fill();
  }
  pen.lineWidth = Math.max(thick, (marked ? 1.4 : 0.5) / camera.scale);
  pen.strokeStyle = line;
  pen.beginPath();
  pen.roundRect(pipe.x, pipe.y, pipe.width, BOX, 6);
  pen.stroke();
  if (!far) {
    pen.fillStyle = kind === "chosen" ? ink.card : ink.text;
    pen.fillText(shortened(pipe), pipe.x + 14, pipe.y + BOX / 2 + 0.5);
  }
}

/** The id, with its middle left out where it is too long: beginnings are alike, ends tell apart. */
function shortened(pipe) {
  if (pipe.short === undefined) {
    const room = pipe.width - 24;
    const letters = [...pipe.label];
    let text = pipe.label;
    for (let keep = letters.length - 1; pen.measureText(text).width > room && keep > 2; keep -= 1) {
      const front = Math.floor(keep * 0.42);
      text = `${letters.slice(0, front).join("")}…${letters.slice(letters.length - keep + front).join("")}`;
    }
    pipe.short = text;
  }
  return pipe.short;
}

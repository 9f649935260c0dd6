// What the reader does: choose, search, colour, move, by mouse, touch and keyboard.

const byId = (id) => document.getElementById(id);
const search = byId("search");
const results = byId("results");
const MOST_RESULTS = 100;

function choose(n, fly = false) {
  state.chosen = n;
  state.before = n < 0 ? new Set() : reachedFrom(n, producersOf);
  state.after = n < 0 ? new Set() : reachedFrom(n, consumersOf);
  if (n < 0) showPlan();
  else showPipe(n);
  remember(n);
  redraw();
  if (n >= 0 && !(inSight(n) && (!fly || camera.scale >= READABLE))) flyToPipe(n);
}

/** The address names the chosen pipe, so that a link to it can be passed on. */
function remember(n) {
  try {
    history.replaceState(null, "", n < 0 ? "#" : `#${encodeURIComponent(pipes[n].id)}`);
  } catch {
    // Some places do not let a page change its address; and not every id can be part of one.
  }
}

function chooseByAddress() {
  try {
    const n = numberOf.get(decodeURIComponent(location.hash.slice(1)));
    if (n !== undefined && n !== state.chosen) choose(n, true);
  } catch {
    // The address is not one of ours.
  }
}

function toggleCritical() {
  if (!criticalPipes.size) return;
  state.critical = !state.critical;
  byId("critical").setAttribute("aria-pressed", `${state.critical}`);
  redraw();
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  readInk();
  redraw();
}

function setColours(key) {
  const added = additions.colours[key];
  state.colours = added ? added() : coloursBy(key.replace(/^tag /, ""));
  byId("legend").replaceChildren(...state.colours.legend.map(([text, colour, count]) => {
    const dot = make("i", { class: "dot" });
    dot.style.background = colour;
    const label = text.length > 40 ? `${text.slice(0, 39)}…` : text;
    return make("span", {}, dot, `${label} (${count.toLocaleString("en")})`);
  }));
  redraw();
}

// ---- search ----

let hits = [];
let current = -1;

function runSearch() {
  const found = find(search.value);
  state.found = found && new Set(found.map(({ n }) => n));
  hits = found ? found.slice(0, MOST_RESULTS) : [];
  current = hits.length ? 0 : -1;
  const items = hits.map(({ n, why }, k) => make(
    "li",
    { role: "option", id: `hit${k}` },
    pipes[n].label,
    make("small", {}, `generation ${pipes[n].generation}${why ? ` · ${why}` : ""}`),
  ));
  items.forEach((item, k) => item.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    take(k);
  }));
  if (found) {
    const rest = found.length - hits.length;
    const note = found.length ? rest && `and ${plural(rest, "more pipe")}, marked in the drawing` : "Nothing found";
    if (note) items.push(make("li", { class: "note" }, note));
  }
  results.replaceChildren(...items);
  results.hidden = !found;
  mark();
  redraw();
}

function mark() {
  results.querySelectorAll('[role="option"]').forEach((item, k) => {
    item.setAttribute("aria-selected", `${k === current}`);
    if (k === current) item.scrollIntoView({ block: "nearest" });
  });
  search.setAttribute("aria-expanded", `${!results.hidden}`);
  if (current >= 0 && !results.hidden) search.setAttribute("aria-activedescendant", `hit${current}`);
  else search.removeAttribute("aria-activedescendant");
}

function take(k) {
  current = k;
  results.hidden = true;
  mark();
  choose(hits[k].n, true);
}

search.addEventListener("input", runSearch);
search.addEventListener("focus", () => { if (search.value) { results.hidden = false; mark(); } });
search.addEventListener("blur", () => { results.hidden = true; mark(); });
search.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && hits.length) {
    results.hidden = false;
    current = (current + step + hits.length) % hits.length;
    mark();
    event.preventDefault();
  } else if (event.key === "Enter" && current >= 0) {
    take(current);
  } else if (event.key === "Escape") {
    search.value = "";
    runSearch();
    canvas.focus();
    event.preventDefault();
  }
  event.stopPropagation();
});

// ---- mouse and touch ----

const fingers = new Map();
let moved = 0;

function place(event) {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

canvas.addEventListener("pointerdown", (event) => {
  flight += 1;
  moved = 0;
  fingers.set(event.pointerId, place(event));
  canvas.setPointerCapture(event.pointerId);
  canvas.classList.add("dragging");
});

canvas.addEventListener("pointermove", (event) => {
  const here = place(event);
  const last = fingers.get(event.pointerId);
  if (!last) {
    hover(pipeAt(here.x, here.y), here);
    return;
  }
  moved += Math.abs(here.x - last.x) + Math.abs(here.y - last.y);
  if (fingers.size === 2) {
    const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    const distance = (at) => Math.hypot(at.x - other.x, at.y - other.y) || 1;
    zoomAt(distance(here) / distance(last), (here.x + other.x) / 2, (here.y + other.y) / 2);
  } else if (moved > 4) {
    hover(-1);
    pan(here.x - last.x, here.y - last.y);
  }
  fingers.set(event.pointerId, here);
});

for (const name of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(name, (event) => {
    const here = place(event);
    if (name === "pointerup" && fingers.size === 1 && moved <= 4) choose(pipeAt(here.x, here.y));
    fingers.delete(event.pointerId);
    if (!fingers.size) canvas.classList.remove("dragging");
  });
}
canvas.addEventListener("pointerleave", () => hover(-1));
canvas.addEventListener("dblclick", (event) => {
  const here = place(event);
  if (pipeAt(here.x, here.y) < 0) zoomAt(1.8, here.x, here.y);
});
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  flight += 1;
  const here = place(event);
  const lines = event.deltaMode === 1 ? 16 : 1;
  if (event.shiftKey) pan(-(event.deltaY + event.deltaX) * lines, 0);
  else zoomAt(Math.exp(-Math.max(-240, Math.min(240, event.deltaY * lines)) * 0.0016), here.x, here.y);
}, { passive: false });

function hover(n, here) {
  tip.hidden = n < 0;
  canvas.classList.toggle("over", n >= 0);
  if (n >= 0) {
    tip.textContent = `${pipes[n].label} · generation ${pipes[n].generation}${additions.tip(n)}`;
    const left = Math.min(here.x + 14, view.width - tip.offsetWidth - 8);
    const below = here.y + 18 + tip.offsetHeight < view.height;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${below ? here.y + 16 : here.y - tip.offsetHeight - 10}px`;
  }
  if (n !== state.hovered) {
    state.hovered = n;
    redraw();
  }
}

// ---- keyboard and buttons ----

const actions = {
  "/": () => search.focus(),
  "+": () => zoomAt(1.3),
  "=": () => zoomAt(1.3),
  "-": () => zoomAt(1 / 1.3),
  0: () => flyTo(fitted()),
  c: toggleCritical,
  Escape: () => {
    if (!search.value) state.found = null;
    choose(-1);
  },
  ArrowLeft: () => pan(90, 0),
  ArrowRight: () => pan(-90, 0),
  ArrowUp: () => pan(0, 90),
  ArrowDown: () => pan(0, -90),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("select") || (event.key.startsWith("Arrow") && event.target.closest("aside"))) return;
  const action = actions[event.key] || actions[event.key.toLowerCase()];
  if (!action) return;
  action();
  event.preventDefault();
});

byId("critical").addEventListener("click", toggleCritical);
byId("fit").addEventListener("click", () => flyTo(fitted()));
byId("closer").addEventListener("click", () => zoomAt(1.3));
byId("farther").addEventListener("click", () => zoomAt(1 / 1.3));
byId("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
byId("colour").addEventListener("change", (event) => setColours(event.target.value));
window.addEventListener("hashchange", chooseByAddress);

// ---- start ----

byId("facts").textContent = plan.facts;
const keys = [...Object.keys(additions.colours), ...colourKeys().map((key) => `tag ${key}`)];
byId("colour").append(make("option", { value: "" }, "none"), ...keys.map((key) => make("option", { value: key }, key)));
byId("colour").value = keys[0] || "";
if (!keys.length) byId("colour").parentElement.hidden = true;
if (!plan.critical.length) byId("critical").hidden = true;
const dark = matchMedia("(prefers-color-scheme: dark)");
setTheme(additions.theme?.() || (dark.matches ? "dark" : "light"));
dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
setColours(keys[0] || "");
showPlan();
new ResizeObserver(measure).observe(stage);
measure();
Object.assign(camera, fitted());
draw();
chooseByAddress();

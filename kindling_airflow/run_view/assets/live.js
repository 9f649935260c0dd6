// What a run adds to the drawing: links, colours of states, marks, a strip above the map.

const LINKS_BASE = location.pathname.split("/kindling/dags/")[0];
const DAG_ADDRESS = `${LINKS_BASE}/dags/${encodeURIComponent(live.dag)}`;
const RUN_ADDRESS = live.run === null ? null : `${DAG_ADDRESS}/runs/${encodeURIComponent(live.run)}`;
const MOST_WAITS = 4;

/** A link that also works inside a frame that may not open windows: the page around it follows it. */
function link(text, address, { newWindow = false } = {}) {
  const element = make("a", { href: address, class: "link", rel: "noreferrer noopener" }, text);
  if (newWindow) element.target = "_blank";
  element.addEventListener("click", (event) => {
    const outer = window.parent === window ? null : window.parent.document;
    if (!outer) return;
    event.preventDefault();
    const twin = outer.createElement("a");
    twin.href = element.href;
    twin.rel = "noreferrer noopener";
    if (newWindow || event.ctrlKey || event.metaKey) twin.target = "_blank";
    outer.body.append(twin);
    twin.click();
    twin.remove();
  });
  return element;
}

const clock = (time) => new Date(time).toLocaleString();
const count = (value) => (value === null || value === undefined ? "" : value.toLocaleString("en"));

// ---- colours and marks on the map ----

additions.colours["state of the run"] = () => ({
  ofPipe: rows.map(({ state }) => STATES[state]?.[1] || null),
  legend: countsByState().map(([state, number]) => [STATES[state]?.[0] || "not started", STATES[state]?.[1] || "transparent", number]),
});

/** How much longer than usual a pipe took, or takes: 1 is as usual; null where that is unknown. */
function againstUsual(n) {
  const [median] = live.usual[n];
  const seconds = secondsOf(n);
  return !median || seconds === null || rows[n].status === "skipped" ? null : seconds / median;
}

function usualText(n) {
  const [median, mad, usualRows] = live.usual[n];
  if (!median) return "";
  const spread = mad ? ` ± ${timeText(mad)}` : "";
  return `${timeText(median)}${spread}${usualRows === null ? "" : `, ${count(usualRows)} rows`}`;
}

const AGAINST = [
  ["less than half", 0.5, "#2ba3b0"], ["as usual", 1.5, "#2e9e4f"],
  ["up to 3 times", 3, "#d9a400"], ["longer", Infinity, "#d8363a"],
];

if (live.usual.some((figures) => figures.length)) {
  additions.colours["duration against the usual"] = () => {
    const kinds = pipes.map((_, n) => {
      const ratio = againstUsual(n);
      return ratio === null ? null : AGAINST.find(([, most]) => ratio <= most);
    });
    const legend = AGAINST.map((kind) => [kind[0], kind[2], kinds.filter((k) => k === kind).length]);
    return { ofPipe: kinds.map((kind) => kind && kind[2]), legend };
  };
}

additions.mark = (pipe, n, far) => {
  const { violated, tries, state: now } = rows[n];
  if (now === "running" && !far) {
    pen.fillStyle = STATES.running[1];
    pen.fillRect(pipe.x + 7, pipe.y + BOX - 3, pipe.width - 10, 2);
  }
  if (violated) badge(pipe.x + pipe.width - 4, pipe.y, `!`, ink.critical, far);
  if (tries > 1 && now !== null) badge(pipe.x + pipe.width - (violated ? 26 : 8), pipe.y, `${tries}×`, STATES.up_for_retry[1], far);
};

function badge(x, y, text, colour, far) {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.arc(x, y, far ? 10 : 9, 0, 7);
  pen.fill();
  if (far) return;
  pen.fillStyle = "#fff";
  pen.textAlign = "center";
  pen.font = `600 10px ${FONT}`;
  pen.fillText(text, x, y + 0.5);
  pen.textAlign = "left";
  pen.font = `12px ${FONT}`;
}

additions.tip = (n) => {
  const { state: now, written } = rows[n];
  const parts = [STATES[now]?.[0] || "not started", timeText(secondsOf(n)), written === null ? "" : `${count(written)} rows`];
  return ` · ${parts.filter(Boolean).join(" · ")}`;
};

additions.theme = () => {
  try {
    const theme = localStorage.getItem("theme");
    return theme === "dark" || theme === "light" ? theme : null;
  } catch {
    return null; // a browser that keeps nothing
  }
};

// ---- the strip above the map ----

const strip = make("div", { id: "strip", role: "status" });
const chooser = make("select", { id: "runs", "aria-label": "Run" });
const stateChip = make("span", { id: "run-state", class: "chip" });
const countsPart = make("span", { id: "counts" });
const waitsPart = make("ul", { id: "waits", "aria-label": "What the run waits for" });
const trouble = make("span", { id: "trouble", hidden: "" });

function fillChooser(list) {
  const known = list.some(([name]) => name === live.run);
  const all = known || live.run === null ? list : [[live.run, run.state, null], ...list];
  chooser.replaceChildren(
    ...(all.length ? [] : [make("option", { value: "" }, "no run yet")]),
    ...all.map(([name, state]) => make("option", { value: name }, `${name} · ${state}`)),
  );
  chooser.value = live.run ?? "";
}

chooser.addEventListener("change", () => {
  location.assign(`${location.pathname}?run_id=${encodeURIComponent(chooser.value)}${location.hash}`);
});

function showStrip() {
  const seconds = run.start === null ? null : ((run.end ?? serverNow()) - run.start) / 1000;
  stateChip.textContent = live.run === null ? "no run" : `${run.paused && run.state !== "success" && run.state !== "failed" ? "paused · " : ""}${run.state} ${timeText(seconds)}`;
  stateChip.dataset.state = run.state ?? "";
  countsPart.replaceChildren(...(live.run === null ? [] : countsByState()).map(([state, number]) => {
    const dot = make("i", { class: "dot" });
    dot.style.background = STATES[state]?.[1] || "transparent";
    return make("button", { class: "link", type: "button", onclick: () => markPipes(pipes.map((_, n) => n).filter((n) => rows[n].state === state)) }, dot, `${count(number)} ${STATES[state]?.[0] || "not started"}`);
  }));
  waitsPart.replaceChildren(...waits().slice(0, MOST_WAITS).map(([text, numbers]) => make(
    "li",
    {},
    make("button", { class: "link", type: "button", onclick: () => markPipes(numbers) }, waitText(text, numbers.length)),
  )));
}

function waitText(text, number) {
  const many = number === 1 ? "1 pipe waits" : `${count(number)} pipes wait`;
  return text.startsWith("the ") ? `${many}: ${text}` : `${many} ${text}`;
}

/** Mark some pipes in the drawing, as a search does; the same ones again: no longer. */
function markPipes(numbers) {
  const same = state.found && state.found.size === numbers.length && numbers.every((n) => state.found.has(n));
  state.found = same ? null : new Set(numbers);
  redraw();
}

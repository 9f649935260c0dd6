// What a run adds to the panel: the run while nothing is chosen, else the chosen pipe in it.

const ownPart = make("div", { id: "run-part" });
const details = new Map(); // by pipe: what the server said of it, and in which state it was then

// ---- the panel: the run ----

additions.ofPlan = () => {
  ownPart.replaceChildren(...runParts());
  return [ownPart];
};

function runParts() {
  if (live.run === null) return [make("p", {}, "The DAG has not run yet.")];
  const facts = [
    ["run", live.run], ["version of the DAG", live.version],
    ...(run.select ? [["only", run.select]] : []),
    ...(run.start === null ? [] : [["started", clock(run.start)]]),
    ...(run.end === null ? [] : [["ended", clock(run.end)]]),
  ];
  const failed = pipes.map((_, n) => n).filter((n) => rows[n].state === "failed");
  const bad = pipes.map((_, n) => n).filter((n) => rows[n].violated);
  const path = actualPath();
  return [
    ...table("Run", facts),
    make("p", {}, link("Open the run", RUN_ADDRESS)),
    ...(failed.length ? section(`Failed: ${plural(failed.length, "pipe")}`, failed.map((n) => make("li", {}, pipeLink(n)))) : []),
    ...(waits().length ? section("Waits now", waits().map(([text, numbers]) => make("li", {}, make("button", { class: "link", type: "button", onclick: () => markPipes(numbers) }, waitText(text, numbers.length))))) : []),
    ...(bad.length ? section(`Expectations violated: ${plural(bad.length, "pipe")}`, bad.map((n) => make("li", {}, pipeLink(n), make("small", {}, plural(rows[n].violated, "expectation"))))) : []),
    ...unusualParts(),
    ...streamParts(),
    ...(path.length ? pathParts(path) : []),
    ...poolParts(),
  ];
}

/** Pipes that take much longer than usual: by half, and by three times their usual spread. */
function unusualParts() {
  const slow = pipes.map((_, n) => n).filter((n) => {
    const [median, mad] = live.usual[n];
    return againstUsual(n) > 1.5 && secondsOf(n) > median + 3 * Math.max(1, 1.4826 * mad);
  });
  if (!slow.length) return [];
  return section("Slower than usual", slow.map((n) => make("li", {}, pipeLink(n), make("small", {}, `${timeText(secondsOf(n))}, usually ${timeText(live.usual[n][0])}`))));
}

function pathParts(path) {
  const first = rows[path[0]].start;
  const last = rows[path[path.length - 1]];
  const whole = ((AT_WORK.has(last.state) ? serverNow() : last.end) - first) / 1000;
  const shared = path.filter((n) => plan.critical.includes(n)).length;
  const show = (way) => () => {
    markAsCritical(way);
    if (!state.critical) toggleCritical();
    redraw();
  };
  const ways = make("p", {}, make("button", { class: "link", type: "button", onclick: show(path) }, "Show it in the drawing"));
  if (plan.critical.length) {
    ways.append(" · ", make("button", { class: "link", type: "button", onclick: show(plan.critical) }, "Show the forecast one"));
  }
  const items = path.map((n, k) => {
    const waited = k ? Math.max(0, (rows[n].start - (rows[path[k - 1]].end ?? rows[n].start)) / 1000) : 0;
    const text = [timeText(secondsOf(n)), waited >= 1 ? `waited ${timeText(waited)}` : ""].filter(Boolean).join(", ");
    return make("li", {}, make("span", {}, `${pipes[n].generation}`), make("span", {}, pipeLink(n), make("small", {}, text)));
  });
  const parts = section(`Actual critical path: ${timeText(whole)}`, items, "ol", { class: "steps", id: "actual" });
  const forecast = plan.critical.length ? [make("p", { class: "soft" }, `Forecast: ${plan.criticalTime}; ${shared} of its ${plan.critical.length} pipes are on this one.`)] : [];
  return [...parts, ...forecast, ways];
}

function streamParts() {
  const streams = pipes.map((_, n) => n).filter((n) => rows[n].stream);
  if (!streams.length) return [];
  return section("Streams", streams.map((n) => make("li", {}, pipeLink(n), make("small", {}, streamText(rows[n].stream)))));
}

function streamText([word, batch, read, rate, lag, at]) {
  const number = (value) => (typeof value === "number" ? Math.round(value * 10) / 10 : value);
  const parts = [
    word,
    batch === null ? "" : `batch ${batch}`,
    read === null ? "" : `${count(read)} rows`,
    rate === null ? "" : `${number(rate)} rows/s`,
    lag === null ? "" : `lag ${number(lag)}`,
    at ? `as of ${new Date(at).toLocaleTimeString()}` : "",
  ];
  return parts.filter(Boolean).join(" · ");
}

function poolParts() {
  const names = [...new Set(pipes.map(({ pool }) => pool))].sort();
  return names.flatMap((name) => {
    const steps = slotsOverTime(name);
    const known = pools.find(([one]) => one === name);
    const now = known ? `${count(known[2] + known[3])} of ${known[1] < 0 ? "unlimited" : count(known[1])} slots taken by all DAGs` : "";
    if (!steps.length) return now ? [make("h3", {}, `Pool ${name}`), make("p", { class: "soft" }, now)] : [];
    return [make("h3", {}, `Pool ${name}`), chart(steps, known ? known[1] : -1), make("p", { class: "soft" }, [now, `at most ${Math.max(...steps.map(([, taken]) => taken))} by this run`].filter(Boolean).join("; "))];
  });
}

/** Slots over the time of the run, with the pool's size as a line. */
function chart(steps, slots) {
  const width = 316;
  const height = 56;
  const drawn = make("canvas", { class: "chart", role: "img", "aria-label": "Slots taken by this run over time" });
  const ratio = window.devicePixelRatio || 1;
  drawn.width = width * ratio;
  drawn.height = height * ratio;
  const brush = drawn.getContext("2d");
  brush.scale(ratio, ratio);
  const from = steps[0][0];
  const span = Math.max(1, steps[steps.length - 1][0] - from);
  const most = Math.max(slots, ...steps.map(([, taken]) => taken), 1);
  const x = (at) => ((at - from) / span) * width;
  const y = (taken) => height - 1 - (taken / most) * (height - 4);
  brush.fillStyle = STATES.running[1];
  steps.forEach(([at, taken], k) => {
    const next = steps[k + 1]?.[0] ?? at;
    brush.fillRect(x(at), y(taken), Math.max(0.5, x(next) - x(at)), height - y(taken));
  });
  if (slots > 0) {
    brush.strokeStyle = ink.critical;
    brush.setLineDash([4, 3]);
    brush.beginPath();
    brush.moveTo(0, y(slots));
    brush.lineTo(width, y(slots));
    brush.stroke();
  }
  return drawn;
}

// ---- the panel: a pipe ----

additions.ofPipe = (n) => {
  ownPart.replaceChildren(...pipeParts(n));
  askForDetails(n);
  return [ownPart];
};

function pipeParts(n) {
  if (RUN_ADDRESS === null) return [];
  const row = rows[n];
  const known = details.get(n)?.found;
  const task = `${RUN_ADDRESS}/tasks/${encodeURIComponent(pipes[n].task)}`;
  const facts = [
    ["state", `${STATES[row.state]?.[0] || "not started"}${row.status === "skipped" ? ": nothing to do" : ""}`],
    ...(row.tries ? [["try", row.tries]] : []),
    ...(row.start === null ? [] : [["started", clock(row.start)]]),
    ...(secondsOf(n) === null ? [] : [["took", timeText(secondsOf(n))]]),
    ...(usualText(n) ? [["usually", usualText(n)]] : []),
    ...(row.read === null ? [] : [["rows in", count(row.read)]]),
    ...(row.written === null ? [] : [["rows out", count(row.written)]]),
    ...(row.stream ? [["stream", streamText(row.stream)]] : []),
    ["pool", `${pipes[n].pool}${pipes[n].slots > 1 ? ` (${pipes[n].slots} slots)` : ""}`],
  ];
  const links = [
    link("Task", task), link("Log", `${task}?try_number=${Math.max(1, row.tries)}`),
    ...(known?.links || []).map(([name, address]) => link(name === "Spark" ? "Spark UI" : name, address, { newWindow: true })),
  ];
  const isOld = row.state === null || ["scheduled", "queued", "up_for_retry", "running"].includes(row.state);
  return [
    ...table("In this run", facts),
    make("p", { class: "links" }, ...links.flatMap((one, k) => (k ? [" · ", one] : [one]))),
    ...(known ? reportParts(known, isOld && known.status ? " of an earlier try" : "") : []),
  ];
}

function reportParts(known, whose) {
  const [type, message] = known.error;
  return [
    ...(type ? [make("h3", {}, `Error${whose}`), make("p", {}, type), make("pre", { class: "wrapped" }, message)] : []),
    ...(known.reason ? [make("p", {}, `Skipped: ${known.reason}`)] : []),
    ...(known.note ? [make("p", {}, known.note)] : []),
    ...section(
      known.expectations.length ? `Expectations${whose}` : "",
      known.expectations.map(([name, outcome, expects, violations, all]) => make("li", { class: outcome === "passed" ? "" : "bad" }, `${name}: ${outcome}`, make("small", {}, `${expects}${violations === null ? "" : ` · ${count(violations)} of ${count(all)} rows`}`))),
    ).slice(known.expectations.length ? 0 : 2),
    ...section(
      known.inputs.length ? `Has read${whose}` : "",
      known.inputs.map(([entity, number, slice]) => make("li", {}, entity, make("small", {}, [number === null ? "not counted" : `${count(number)} rows`, slice && `slice ${slice}`].filter(Boolean).join(" · ")))),
    ).slice(known.inputs.length ? 0 : 2),
    ...(known.location ? table(`Has written${whose}`, [["entity", known.output], ...(known.rows === null ? [] : [["rows", count(known.rows)]]), ...(known.slice ? [["slice", known.slice]] : []), ["location", known.location]]) : []),
    ...table("Progress of the stream", known.stream),
  ];
}

function showOwnPart() {
  if (state.chosen < 0) ownPart.replaceChildren(...runParts());
  else {
    ownPart.replaceChildren(...pipeParts(state.chosen));
    askForDetails(state.chosen);
  }
}

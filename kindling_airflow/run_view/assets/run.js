// The run as the page knows it: a row for each pipe, what the run waits for, which way was the longest.

const live = plan.live;
const numberOfTask = new Map(pipes.map((pipe, n) => [pipe.task, n]));
const otherTasks = new Map(plan.others.map((other) => [other.task, { ...other, state: null }]));
const rows = pipes.map(() => emptyRow());
const run = { state: null, queued: null, start: null, end: null, paused: false, select: "" };
let pools = [];
let clockAhead = 0; // of this browser, in milliseconds

const OVER = new Set(["success", "failed", "skipped", "upstream_failed", "removed"]);
const AT_WORK = new Set(["running", "deferred", "restarting"]);
const STATES = {
  success: ["success", "#2e9e4f"],
  running: ["running", "#2f8fe0"],
  restarting: ["restarting", "#2f8fe0"],
  deferred: ["deferred", "#8a63c9"],
  queued: ["queued", "#8a8f98"],
  scheduled: ["scheduled", "#b99a5f"],
  up_for_retry: ["up for retry", "#d9a400"],
  up_for_reschedule: ["up for reschedule", "#2ba3b0"],
  failed: ["failed", "#d8363a"],
  upstream_failed: ["upstream failed", "#e0842f"],
  skipped: ["skipped", "#d27ab8"],
  removed: ["removed", "#5b6675"],
};

function emptyRow() {
  return {
    state: null, tries: 0, queued: null, start: null, end: null,
    read: null, written: null, violated: null, status: null, stream: null,
  };
}

/** Take in an answer of the server; true if anything that is shown has changed. */
function takeIn(answer) {
  clockAhead = Date.now() - answer.now;
  let changed = Object.keys(run).some((key) => answer.run[key] !== run[key]);
  for (const key of Object.keys(run)) run[key] = answer.run[key];
  changed = changed || JSON.stringify(pools) !== JSON.stringify(answer.pools);
  pools = answer.pools;
  for (const [task, state, tries, queued, start, end, read, written, violated, status, stream] of answer.tasks) {
    const row = {
      state: state ?? null, tries: tries ?? 0, queued: queued ?? null, start: start ?? null, end: end ?? null,
      read: read ?? null, written: written ?? null, violated: violated ?? null, status: status ?? null,
      stream: stream ?? null,
    };
    const n = numberOfTask.get(task);
    if (n === undefined) {
      const other = otherTasks.get(task);
      if (other && other.state !== row.state) {
        other.state = row.state;
        changed = true;
      }
    } else if (JSON.stringify(rows[n]) !== JSON.stringify(row)) {
      rows[n] = row;
      changed = true;
    }
  }
  return changed;
}

const serverNow = () => Date.now() - clockAhead;

/** The seconds that a pipe's last try took, or takes until now; null before it. */
function secondsOf(n) {
  const { state, start, end } = rows[n];
  if (start === null || state === null || state === "scheduled" || state === "queued") return null;
  const until = AT_WORK.has(state) ? serverNow() : end;
  return until === null || until < start ? null : (until - start) / 1000;
}

/** How many pipes are in each state: [state, count], in the order of STATES, those without last. */
function countsByState() {
  const counts = new Map();
  for (const { state } of rows) counts.set(state, (counts.get(state) || 0) + 1);
  return [...Object.keys(STATES), null].filter((s) => counts.has(s)).map((s) => [s, counts.get(s)]);
}

function timeText(seconds) {
  if (seconds === null) return "";
  if (seconds < 120) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

// ---- what the run waits for ----

/** Each reason why pipes wait, as [text, pipes]; what holds up most pipes first. */
function waits() {
  const found = new Map();
  const add = (text, n) => {
    if (!found.has(text)) found.set(text, []);
    found.get(text).push(n);
  };
  if (!run.state || run.state === "success" || run.state === "failed") return [];
  const held = heldByOthers();
  const active = rows.filter(({ state }) => state === "running" || state === "queued").length;
  rows.forEach(({ state }, n) => {
    const { pool } = pipes[n];
    if (OVER.has(state) || AT_WORK.has(state)) return;
    if (run.paused) add("the DAG is paused", n);
    else if (run.state === "queued") add("the run itself is queued", n);
    else if (state === "up_for_retry") add("for their next try", n);
    else if (state === "queued") add("for a worker", n);
    else if (state === "scheduled") add(poolText(pool, pipes[n].slots, active), n);
    else if (held.has(n)) add(held.get(n), n);
    else add("for pipes before them", n);
  });
  return [...found].sort((a, b) => b[1].length - a[1].length);
}

function poolText(name, slots, active) {
  const pool = pools.find(([one]) => one === name);
  if (pool) {
    const [, all, running, queued, , deferred, countsDeferred] = pool;
    const taken = running + queued + (countsDeferred ? deferred : 0);
    if (all >= 0 && all - taken < slots) return `for slots of pool '${name}' (${taken} of ${all} taken)`;
  }
  if (plan.mostTasks !== null && active >= plan.mostTasks) {
    return `because a run may have ${plan.mostTasks} tasks at once`;
  }
  return "for the scheduler to queue them";
}

/** The pipes that wait for a task that runs no pipe: a sensor, a gate, anything else in the DAG. */
function heldByOthers() {
  const held = new Map();
  for (const { label, operator, state, before } of otherTasks.values()) {
    if (OVER.has(state)) continue;
    const shown = state ? STATES[state]?.[0] || state : "not started";
    const text = `for task '${label}' (${operator}, ${shown})`;
    const waiting = [...before];
    const seen = new Set(waiting);
    while (waiting.length) {
      const n = waiting.pop();
      if (!held.has(n) || AT_WORK.has(state) || state === "up_for_reschedule") held.set(n, text);
      for (const next of consumersOf[n]) {
        if (!seen.has(next)) {
          seen.add(next);
          waiting.push(next);
        }
      }
    }
  }
  return held;
}

// ---- the longest way through the run ----

/** From the pipe that ended last, or still runs, back along what each waited for longest. */
function actualPath() {
  const endOf = (n) => {
    const { state, start, end } = rows[n];
    if (start === null) return null;
    return AT_WORK.has(state) ? serverNow() : end;
  };
  const latest = (choice) => choice
    .filter((n) => endOf(n) !== null)
    .reduce((best, n) => (best < 0 || endOf(n) > endOf(best) ? n : best), -1);
  const path = [];
  const seen = new Set();
  for (let n = latest(pipes.map((_, k) => k)); n >= 0 && !seen.has(n); n = latest(producersOf[n])) {
    seen.add(n);
    path.unshift(n);
  }
  return path;
}

// ---- pools over time ----

/** The slots of a pool that pipes of this run took: [time, slots], each until the next one. */
function slotsOverTime(name) {
  const steps = [];
  rows.forEach(({ start, end, state }, n) => {
    if (pipes[n].pool !== name || start === null || state === "skipped") return;
    const until = AT_WORK.has(state) ? serverNow() : end;
    if (until === null || until < start) return;
    steps.push([start, pipes[n].slots], [until, -pipes[n].slots]);
  });
  steps.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let taken = 0;
  return steps.map(([at, change]) => [at, (taken += change)]);
}

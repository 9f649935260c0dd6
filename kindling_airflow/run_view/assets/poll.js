// Follows the run: asks the server what has changed, at most one question at a time.

const OWN_ADDRESS = location.pathname.replace(/\/plan$/, "");
const BUSY_MS = 2000; // between questions while the run is active
const QUIET_MS = 10000; // and when it is over: its tasks may be cleared
const RUNS_MS = 15000; // between looks for a newer run
const CLOCK_MS = 10000; // after which the panel's times are renewed without news
const refreshes = []; // for measurements: [bytes, milliseconds on the main thread]
let cursor = live.answer ? live.answer.cursor : [0, "", 0];
let failures = 0;
let shownAt = Date.now();
let runsAt = Date.now();

async function ask(path, parameters) {
  const query = new URLSearchParams(parameters);
  const answer = await fetch(`${OWN_ADDRESS}/${path}?${query}`, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.text();
}

async function refresh() {
  const [since, after, began] = cursor;
  const text = await ask("run", { run_id: live.run, since, after, began });
  const started = performance.now();
  const answer = JSON.parse(text);
  if (answer.run.version !== live.version && answer.run.version !== null) {
    location.reload(); // the run goes on with another version of the DAG, and so another plan
    return true;
  }
  cursor = answer.cursor;
  const isNews = takeIn(answer);
  if (isNews || isActive()) showStrip();
  if (isNews || (isActive() && Date.now() - shownAt > CLOCK_MS)) {
    shownAt = Date.now();
    showOwnPart();
    if (byId("colour").value in additions.colours) setColours(byId("colour").value);
    else redraw();
  }
  refreshes.push([text.length, performance.now() - started]);
  if (refreshes.length > 500) refreshes.shift();
  return answer.more;
}

const isActive = () => run.state === "running" || run.state === "queued";

/** Look for other runs; the page of the DAG goes on to a newer run. */
async function lookForRuns() {
  const list = JSON.parse(await ask("runs", {}));
  fillChooser(list);
  if (live.follows && list.length && list[0][0] !== live.run && !isActive()) location.reload();
}

async function follow() {
  let isMore = false;
  if (!document.hidden) {
    try {
      if (live.run !== null) isMore = await refresh();
      if (Date.now() - runsAt > RUNS_MS && document.activeElement !== chooser) {
        runsAt = Date.now();
        await lookForRuns();
      }
      failures = 0;
    } catch (error) {
      failures += 1;
      const told = { 401: "You are signed out.", 403: "You may not see this DAG any more." }[error.message];
      trouble.textContent = told || "Airflow does not answer; what is shown may be old.";
    }
    trouble.hidden = failures < 2;
  }
  const pause = isMore ? 0 : (isActive() ? BUSY_MS : QUIET_MS) * Math.min(8, 2 ** failures);
  setTimeout(follow, pause);
}

/** Ask for a pipe's report, once for each state that the pipe is in. */
async function askForDetails(n) {
  if (live.run === null || rows[n].state === null) return;
  const { state: now, tries, stream } = rows[n];
  const key = JSON.stringify([now, tries, stream]);
  if (details.get(n)?.key === key) return;
  details.set(n, { key, found: details.get(n)?.found });
  try {
    const found = JSON.parse(await ask("run/pipe", { run_id: live.run, task_id: pipes[n].task }));
    details.set(n, { key, found });
    if (state.chosen === n) ownPart.replaceChildren(...pipeParts(n));
  } catch {
    details.delete(n);
  }
}

strip.append(chooser, stateChip, countsPart, waitsPart, trouble);
document.querySelector("header").after(strip);
if (live.answer) takeIn(live.answer);
fillChooser(live.runs);
document.addEventListener("visibilitychange", () => { if (!document.hidden && isActive()) refresh().catch(() => {}); });
document.documentElement.refreshes = refreshes;
setTimeout(follow, BUSY_MS);
setTimeout(showStrip, 0);

// Everything that comes from the server is shown as text, never as markup.
const STATES = {
  current: "published, and nothing that it was made from has changed since",
  missing: "never published",
  stale: "an input was published after it was read",
  skipped: "nothing to do",
  running: "a run is under way",
  replaced: "a later run replaces the whole table",
};
const at = (id) => document.getElementById(id);
const make = (name, text, className) => {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
};
const short = (time) => time.replace("T00:00:00+00:00", "").replace("+00:00", "");
const numbers = new Intl.NumberFormat("en");
let shown = null;

// Airflow's frame may open no window and not leave its page; a link of the page around it may.
function outside(event) {
  if (parent === window) return;
  event.preventDefault();
  const link = parent.document.createElement("a");
  link.href = event.currentTarget.href;
  link.click();
}

function fill(found) {
  at("fill").hidden = found.commands.length === 0;
  at("how").textContent = found.commands.length > 1
    ? "Run each command after the backfill of the one before has ended; they fill exactly these gaps."
    : "This command fills exactly these gaps.";
  at("commands").replaceChildren(...found.commands.map((command) => {
    const item = make("li");
    const button = make("button", "Copy");
    button.type = "button";
    const code = make("code", command);
    button.addEventListener("click", () => copy(code, button));
    item.append(code, " ", button);
    return item;
  }));
}

async function copy(code, button) {
  getSelection().selectAllChildren(code);
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = document.execCommand("copy") ? "Copied" : "Selected";
  }
}

function slices(found) {
  at("slices").hidden = found.slices.length === 0;
  const head = make("tr");
  head.append(make("th", "entity"), ...found.slices.map((slice) => {
    const cell = make("th", short(slice.slice));
    cell.title = `${slice.interval_start} to ${slice.interval_end}`;
    return cell;
  }));
  const only = at("only").checked;
  const rows = found.tables
    .filter((table) => !only || table.cells.some(([state]) => state === "missing" || state === "stale"))
    .map((table) => {
      const row = make("tr");
      row.append(make("th", table.entity), ...table.cells.map(([state, why], n) => {
        const cell = make("td", undefined, state in STATES ? state : "");
        cell.title = `${table.entity}, ${short(found.slices[n].slice)}: ${state}${why ? `; ${why}` : ""}`;
        return cell;
      }));
      return row;
    });
  const top = make("thead");
  top.append(head);
  const body = make("tbody");
  body.append(...rows);
  at("grid").replaceChildren(top, body);
}

function versions(found) {
  at("versions").hidden = found.tables.every((table) => table.versions.length === 0);
  const head = make("tr");
  head.append(...["entity", "slice", "rows", "usual rows", "when", "pipe", "run", "location"]
    .map((text) => make("th", text)));
  const rows = [];
  for (const table of found.tables) {
    table.versions.forEach((version, n) => {
      const row = make("tr");
      const run = make("a", version.run);
      run.href = `../../../dags/${encodeURIComponent(found.dag_id)}/runs/${encodeURIComponent(version.run)}`;
      run.addEventListener("click", outside);
      const link = make("td");
      link.append(run);
      row.append(
        make("th", n ? "" : table.entity),
        make("td", version.slice.map(short).join(" to ")),
        make("td", version.rows === null ? "" : numbers.format(version.rows), "number"),
        make("td", n || table.usual_rows === null ? "" : numbers.format(table.usual_rows), "number"),
        make("td", version.at.slice(0, 19).replace("T", " ")),
        make("td", version.pipe), link, make("td", version.location));
      rows.push(row);
    });
  }
  const top = make("thead");
  top.append(head);
  const body = make("tbody");
  body.append(...rows);
  at("published").replaceChildren(top, body);
}

function draw(found) {
  shown = found;
  at("from").value = found.from.slice(0, 10);
  at("to").value = found.to.slice(0, 10);
  at("message").textContent = found.problem
    || `${found.tables.length} tables, ${found.slices.length} slices, ${found.gaps} gaps`;
  fill(found);
  slices(found);
  versions(found);
  document.body.dataset.ready = String(Date.now());
}

async function load() {
  delete document.body.dataset.ready;
  at("message").textContent = "Loading ...";
  const asked = new URLSearchParams();
  if (at("from").value) asked.set("from_date", at("from").value);
  if (at("to").value) asked.set("to_date", at("to").value);
  try {
    const answer = await fetch(`tables/data?${asked}`);
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    draw(await answer.json());
  } catch (error) {
    at("message").textContent = `The tables could not be loaded: ${error.message}`;
  }
}

at("dag").textContent = decodeURIComponent(location.pathname.split("/").at(-2));
at("legend").replaceChildren(...Object.entries(STATES).map(([state, text]) => {
  const item = make("li");
  item.append(make("i", undefined, state), `${state}: ${text}`);
  return item;
}));
at("show").addEventListener("click", load);
at("only").addEventListener("change", () => shown && slices(shown));
load();

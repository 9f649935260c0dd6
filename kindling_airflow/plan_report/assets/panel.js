// The side panel: the plan while nothing is chosen, else the chosen pipe. Texts, never markup.

const panel = document.getElementById("panel");
const MOST = 60;

/** An element with attributes and children; strings become text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") element.addEventListener("click", value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function plural(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

function pipeLink(n) {
  return make("button", { class: "link", type: "button", onclick: () => choose(n, true) }, pipes[n].label);
}

/** A headline and a list; long lists are cut, and can be shown whole. */
function section(headline, items, kind = "ul", attributes = {}) {
  const list = make(kind, attributes, ...items.slice(0, MOST));
  const parts = [make("h3", {}, headline), list];
  if (items.length > MOST) {
    const more = make("button", {
      class: "link",
      type: "button",
      onclick: () => {
        list.append(...items.slice(MOST));
        more.remove();
      },
    }, `Show ${(items.length - MOST).toLocaleString("en")} more`);
    parts.push(more);
  }
  return parts;
}

function table(headline, entries) {
  if (!entries.length) return [];
  const cells = entries.flatMap(([key, value]) => [make("dt", {}, key), make("dd", {}, shown(value))]);
  return [make("h3", {}, headline), make("dl", {}, ...cells)];
}

function showPlan() {
  const keys = [
    ["click", "a pipe: what it depends on, and what depends on it"],
    ["wheel", "zoom; drag to move"],
    ["/", "find"], ["C", "critical path"], ["0", "show everything"], ["+ −", "zoom"],
    ["← → ↑ ↓", "move"], ["Esc", "let go of the chosen pipe"],
  ];
  const direction = {
    forward: "From left to right: every pipe stands right of the pipes that it reads from.",
    reverse: "From left to right in the order of the start: every pipe stands right of the pipes that read from it. Arrows go where the data goes.",
    hybrid: "Streams start first, in reverse order; then the batch pipes, forward. Arrows go where the data goes.",
  }[plan.direction] || "From left to right: generations in the order of execution. Arrows go where the data goes.";
  panel.replaceChildren(
    make("h2", {}, "The plan"),
    ...additions.ofPlan(),
    make("p", { class: "soft" }, direction),
    ...table("Figures", plan.figures),
    make("h3", {}, "Keys"),
    make("dl", {}, ...keys.flatMap(([key, what]) => [
      make("dt", {}, make("kbd", {}, key)), make("dd", {}, what),
    ])),
    ...(plan.critical.length
      ? section(`Critical path: ${plan.criticalTime}`, steps(plan.critical), "ol", { class: "steps" })
      : []),
    ...table("Said by the strategy", plan.metadata),
    ...(plan.digest
      ? [make("h3", {}, "Digest"), make("dl", {}, make("dd", { class: "mono" }, plan.digest))]
      : []),
  );
  panel.scrollTop = 0;
}

function steps(chain, own = -1) {
  return chain.map((n) => make(
    "li",
    n === own ? { class: "own" } : {},
    make("span", {}, `${pipes[n].generation}`),
    n === own ? make("span", {}, pipes[n].label) : pipeLink(n),
  ));
}

const ORIGINS = {
  external: "external: no pipe writes it",
  own: "its own output: the state of before",
};

function inputItem([entity, origin, producer]) {
  const said = make("small", {});
  if (origin === "pipe") said.append("from ", pipeLink(producer));
  else said.append(ORIGINS[origin] || `from ${origin}`);
  return make("li", {}, entity, said);
}

function showPipe(n) {
  const pipe = pipes[n];
  const { before, after } = state;
  const chips = [
    ["chip before", before.size ? `depends on ${plural(before.size, "pipe")}` : "depends on no pipe"],
    ["chip after", after.size === 1 ? "1 pipe depends on it" : `${after.size ? after.size.toLocaleString("en") : "no"} pipes depend on it`],
    ...(criticalPipes.has(n) ? [["chip critical", "on the critical path"]] : []),
    ...pipe.marks.map((mark) => ["chip", mark]),
  ];
  const chain = chainTo(n);
  panel.replaceChildren(
    make(
      "div",
      { class: "head" },
      make("h2", {}, pipe.label),
      make("button", { type: "button", title: "Back to the plan (Esc)", "aria-label": "Back to the plan", onclick: () => choose(-1) }, "×"),
    ),
    ...(pipe.name ? [make("p", { class: "soft" }, pipe.name)] : []),
    make("p", { class: "soft" }, `Generation ${pipe.generation} of 0 to ${plan.bands.length - 1}`),
    make("div", { class: "chips" }, ...chips.map(([kind, text]) => make("span", { class: kind }, text))),
    ...additions.ofPipe(n),
    ...section(
      chain.length > 1 ? `Longest chain: ${plural(chain.length, "pipe")}` : "Waits for no pipe",
      chain.length > 1 ? steps(chain, n) : [],
      "ol",
      { class: "steps" },
    ),
    ...section(`Reads ${pipe.inputs.length ? plural(pipe.inputs.length, "input") : "nothing"}`, pipe.inputs.map(inputItem)),
    make("h3", {}, pipe.output === null ? "Writes nothing" : "Writes"),
    make("p", {}, pipe.output ?? ""),
    ...section(
      consumersOf[n].length ? `Read by ${plural(consumersOf[n].length, "pipe")}` : "Read by no pipe",
      consumersOf[n].map((m) => make("li", {}, pipeLink(m))),
    ),
    ...(pipe.sql ? [make("h3", {}, pipe.sqlTitle), make("pre", {}, pipe.sql)] : []),
    ...table("Time", pipe.time || []),
    ...table("Tags", Object.entries(pipe.tags)),
  );
  panel.scrollTop = 0;
}

// The plan as the page knows it: pipes by number, who feeds whom, what is found, what has which colour.

const plan = JSON.parse(document.getElementById("plan").textContent);
const pipes = plan.pipes;
const numberOf = new Map(pipes.map((pipe, n) => [pipe.id, n]));
const producersOf = pipes.map(() => []);
const consumersOf = pipes.map(() => []);
for (const [from, to] of plan.edges) {
  producersOf[to].push(from);
  consumersOf[from].push(to);
}
const criticalPipes = new Set();
const criticalEdges = new Set();
markAsCritical(plan.critical);

// What other scripts of a page add to it: colours by name, parts of the panel, marks on boxes.
const additions = { colours: {}, ofPlan: () => [], ofPipe: () => [], mark: () => {}, tip: () => "" };

/** Make this way through the plan the one that the button shows. */
function markAsCritical(path) {
  criticalPipes.clear();
  criticalEdges.clear();
  path.forEach((n) => criticalPipes.add(n));
  path.slice(1).forEach((to, n) => criticalEdges.add(`${path[n]} ${to}`));
}

/** Everything that can be reached from a pipe along these neighbours, the pipe itself left out. */
function reachedFrom(start, neighbours) {
  const reached = new Set();
  const waiting = [start];
  while (waiting.length) {
    for (const next of neighbours[waiting.pop()]) {
      if (!reached.has(next)) {
        reached.add(next);
        waiting.push(next);
      }
    }
  }
  reached.delete(start);
  return reached;
}

/** The longest chain of waiting that ends with a pipe, from its beginning on. */
function chainTo(pipe) {
  const chain = [];
  for (let n = pipe; n >= 0; n = pipes[n].before) chain.unshift(n);
  return chain;
}

function shown(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

const haystacks = pipes.map((pipe) => {
  const tags = Object.entries(pipe.tags).map(([key, value]) => `${key}=${shown(value)}`);
  const entities = [...pipe.inputs.map(([entity]) => entity), pipe.output || ""];
  return {
    id: `${pipe.id}\n${pipe.name || ""}`.toLowerCase(),
    tag: tags.join("\n").toLowerCase(),
    entity: entities.join("\n").toLowerCase(),
    tags,
    entities,
  };
});

/** The pipes that have every word of a text in their id, tags or entities; best first.
 *  `tag:` and `entity:` before a word look there alone. */
function find(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean).map((word) => {
    const [, place, rest] = /^(?:(tag|entity):)?(.*)$/.exec(word);
    return { place, rest };
  });
  if (!words.length) return null;
  const fits = (hay, { place, rest }) => (place
    ? hay[place].includes(rest)
    : hay.id.includes(rest) || hay.tag.includes(rest) || hay.entity.includes(rest));
  const rank = (n) => {
    const { id } = haystacks[n];
    if (id.startsWith(words[0].rest)) return 0;
    return words.every(({ rest }) => id.includes(rest)) ? 1 : 2;
  };
  return pipes
    .map((_, n) => n)
    .filter((n) => words.every((word) => fits(haystacks[n], word)))
    .map((n) => ({ n, why: reason(n, words) , rank: rank(n) }))
    .sort((a, b) => a.rank - b.rank || pipes[a.n].generation - pipes[b.n].generation || a.n - b.n);
}

/** What of a found pipe's tags and entities the words are in, where its id does not say so. */
function reason(n, words) {
  const hay = haystacks[n];
  const has = (texts, rest) => texts.find((one) => one.toLowerCase().includes(rest));
  return words
    .filter(({ place, rest }) => place || !hay.id.includes(rest))
    .map(({ place, rest }) => (place !== "entity" && has(hay.tags, rest)) || has(hay.entities, rest))
    .filter(Boolean)
    .join(", ");
}

// Colours that can be told apart on a light and on a dark page.
const PALETTE = ["#4c78d0", "#e0842f", "#3fa35c", "#c8508a", "#8a63c9", "#c9a227", "#2ba3b0", "#b0623f", "#7f9437", "#d9605a"];
const OTHERS = "#8c96a4";

/** The tags by which pipes can be coloured, the most telling one first: few values, many pipes. */
function colourKeys() {
  const values = new Map();
  for (const pipe of pipes) {
    for (const [key, value] of Object.entries(pipe.tags)) {
      if (!values.has(key)) values.set(key, { texts: new Set(), count: 0, words: true });
      const entry = values.get(key);
      entry.texts.add(shown(value));
      entry.count += 1;
      entry.words = entry.words && typeof value === "string";
    }
  }
  const score = ({ texts, count, words }) => (words ? 1 : 0.2) * (count / pipes.length) / texts.size;
  return [...values]
    .filter(([, { texts }]) => texts.size > 1)
    .sort((a, b) => score(b[1]) - score(a[1]) || (a[0] < b[0] ? -1 : 1))
    .map(([key]) => key);
}

/** For each pipe its colour by a tag, and the legend: [value, colour, how many pipes]. */
function coloursBy(key) {
  if (!key) return { ofPipe: pipes.map(() => null), legend: [] };
  const counts = new Map();
  const texts = pipes.map((pipe) => (Object.hasOwn(pipe.tags, key) ? shown(pipe.tags[key]) : null));
  for (const text of texts) if (text !== null) counts.set(text, (counts.get(text) || 0) + 1);
  const common = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const named = common.length > PALETTE.length ? common.slice(0, PALETTE.length - 1) : common;
  const colour = new Map(named.map(([text], n) => [text, PALETTE[n]]));
  const legend = named.map(([text, count]) => [text, colour.get(text), count]);
  const rest = common.slice(named.length);
  if (rest.length) {
    legend.push([`${rest.length} others`, OTHERS, rest.reduce((sum, [, count]) => sum + count, 0)]);
  }
  const ofPipe = texts.map((text) => (text === null ? null : colour.get(text) || OTHERS));
  return { ofPipe, legend };
}

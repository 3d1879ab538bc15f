// What the page holds: the index of all individuals, and their details, which are unpacked once they are needed.

/** The individuals as objects by id, with `parents` (the fitter first), `children` and what it was `merged` into, from a page's index. */
function readIndex(page) {
  const index = JSON.parse(page.getElementById("index").textContent);
  const names = Object.keys(index.individuals);
  const rows = new Map();
  index.individuals.id.forEach((id, place) => {
    const row = { parents: [], children: [], merged: [] };
    for (const name of names) row[name] = index.individuals[name][place];
    rows.set(id, row);
  });
  for (const [parent, child, rank] of index.edges) {
    rows.get(child).parents[rank] = parent;
    rows.get(parent)[rank === 0 ? "children" : "merged"].push(child);
  }
  index.rows = rows;
  return index;
}

/** The details: {paragraphs, individuals}. */
async function readDetails(page) {
  const bytes = Uint8Array.from(atob(page.getElementById("packed").textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

/** An element with attributes and children; text always goes in as text. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

const words = (text) => text.replaceAll("_", " ");
const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(4);

/** A score in short, or what stands for it. */
function scoreText(row) {
  const score = row.derived ? row.fresh : row.score;
  return score === null ? words(row.status) : score.toFixed(4);
}

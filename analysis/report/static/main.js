// Ties graph, list, details and filters together, and keeps a live page up to date.

const POLL = 3000; // milliseconds between two questions to the server

const $ = (id) => document.getElementById(id);
let index = readIndex(document);
let details = null;
let chosen = index.champion;
let searched = new Map(); // id -> text that a search looks into

const graph = new LineageGraph($("graph"), choose);
const list = new IndividualList($("individuals"), $("order"), choose);
const view = new Details($("details"), choose);

let cameFrom = $("graph"); // where Escape goes back to from the details

/** Make an individual the chosen one (null: none). `from`: who asked; `read`: go on to its details. */
function choose(id, { from = "", read = false } = {}) {
  if (from) cameFrom = $(from);
  chosen = id;
  graph.mark(id);
  list.mark(id);
  const row = index.rows.get(id);
  if (!row) {
    view.empty();
    $("said").textContent = "No individual chosen.";
    return;
  }
  view.show(row, index, details);
  if (from !== "graph") graph.reveal(id);
  // Chosen from the list of a narrow page, the details may be out of sight.
  if (read || (from === "individuals" && $("details").getBoundingClientRect().bottom < 80)) $("details").focus();
  $("said").textContent = `${row.name}, ${scoreText(row)}, ${row.idea}`;
}

function options(select, values) {
  const before = select.value;
  select.replaceChildren(element("option", { value: "" }, "all"));
  for (const [value, count] of [...values].sort((a, b) => b[1] - a[1])) {
    select.append(element("option", { value }, `${words(value)} (${count})`));
  }
  if (values.has(before)) select.value = before;
}

function counted(name) {
  const counts = new Map();
  for (const row of index.rows.values()) counts.set(row[name], (counts.get(row[name]) ?? 0) + 1);
  return counts;
}

function filter() {
  const text = $("search").value.trim().toLowerCase();
  const [made, operator, outcome] = [$("made").value, $("operator").value, $("outcome").value];
  const visible = new Set();
  for (const row of index.rows.values()) {
    if (made && row.derived !== (made === "derived")) continue;
    if ((operator && row.operator !== operator) || (outcome && row.status !== outcome)) continue;
    if (text && !searched.get(row.id).includes(text)) continue;
    visible.add(row.id);
  }
  graph.filter(visible);
  list.show(index, visible);
  $("shown").textContent = `${visible.size} of ${index.rows.size}`;
}

function searchTexts() {
  searched = new Map();
  for (const row of index.rows.values()) {
    const code = details ? details.individuals[row.id].diff.replace(/^( .*|@@.*)\n/gm, "") : "";
    searched.set(row.id, `${row.name} ${row.idea} ${row.commit} ${row.operator} ${row.model ?? ""} ${row.branch ?? ""} ${code}`.toLowerCase());
  }
}

function show(page) {
  $("worst").textContent = index.range ? index.range[0].toFixed(3) : "";
  $("best").textContent = index.range ? `${index.range[1].toFixed(3)} ${index.metric}` : "";
  document.querySelector(".scale .bar").style.background = `linear-gradient(to right, ${index.colours.join(", ")})`;
  const derived = counted("derived").has(true);
  for (const part of document.querySelectorAll(".if-derived")) part.hidden = !derived;
  options($("operator"), counted("operator"));
  options($("outcome"), counted("status"));
  details = null;
  searchTexts();
  graph.show(index);
  filter();
  if (index.rows.has(chosen)) choose(chosen);
  else choose(index.champion);
  const unpacked = (whole) => {
    details = whole;
    searchTexts();
    if ($("search").value) filter();
    if (index.rows.has(chosen)) view.show(index.rows.get(chosen), index, details);
  };
  return readDetails(page).then(unpacked, (error) => {
    $("shown").textContent = `The details cannot be unpacked in this browser: ${error.message}`;
  });
}

/** Take everything from a later page of the same run, but for what the user is doing. */
async function update(page) {
  for (const id of ["summary", "figures", "patch", "standing"]) {
    $(id).replaceChildren(...document.adoptNode(page.getElementById(id)).childNodes);
  }
  const followed = chosen === index.champion;
  index = readIndex(page);
  if (followed) chosen = index.champion;
  await show(page);
}

async function follow() {
  let revision = `"${index.revision}"`;
  const status = $("live");
  status.hidden = false;
  for (;;) {
    try {
      const answer = await fetch(location.pathname, { headers: { "If-None-Match": revision }, cache: "no-store" });
      if (answer.status === 200) {
        await update(new DOMParser().parseFromString(await answer.text(), "text/html"));
        revision = answer.headers.get("ETag");
      }
      const fine = answer.status === 200 || answer.status === 304;
      status.textContent = fine ? `live, ${new Date().toLocaleTimeString()}` : `the server says: ${await answer.text()}`;
      status.classList.toggle("lost", !fine);
    } catch (error) {
      status.textContent = "the server is gone: this is the last it showed";
      status.classList.add("lost");
    }
    await new Promise((resolve) => setTimeout(resolve, POLL));
  }
}

$("search").addEventListener("input", filter);
for (const id of ["made", "operator", "outcome"]) $(id).addEventListener("change", filter);
$("search").form.addEventListener("submit", (event) => event.preventDefault());
$("search").addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !$("search").value) return;
  event.preventDefault();
  $("search").value = "";
  filter();
});
$("details").addEventListener("keydown", (event) => {
  if (event.key === "Escape") (cameFrom.querySelector('[aria-current="true"]') ?? cameFrom).focus();
});
$("zoom-in").addEventListener("click", () => graph.zoom(1.3));
$("zoom-out").addEventListener("click", () => graph.zoom(1 / 1.3));
$("zoom-fit").addEventListener("click", () => graph.fit());

show(document);
if (index.revision) follow();

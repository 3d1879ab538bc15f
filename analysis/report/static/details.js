// The chosen individual: idea, scores, relatives, runs, curve, diff, prompts.

class Details {
  constructor(root, choose) {
    this.root = root;
    this.choose = choose;
  }

  /** Show an individual; `details` is null while it is being unpacked. */
  show(row, index, details) {
    const own = details?.individuals[row.id];
    const parts = [element("h3", { id: "chosen" }, `${row.name} ${row.idea}`), this.facts(row, index)];
    parts.push(this.relatives("Parents", row.parents, index), this.relatives("Children", row.children, index));
    parts.push(this.relatives("Merged into", row.merged, index));
    if (!own) parts.push(element("p", {}, "Unpacking…"));
    else {
      if (row.parents.length) parts.push(element("h3", {}, `Changed on ${index.rows.get(row.parents[0]).name}`), diffView(own.diff));
      parts.push(...this.runs(own, row, index), ...this.curves(row, own, index, details), ...this.exchanges(own, details), ...this.ideas(own));
    }
    this.root.replaceChildren(...parts.filter(Boolean));
    this.root.scrollTop = 0;
  }

  empty() {
    this.root.replaceChildren(element("p", {}, "Choose an individual in the graph or the list."));
  }

  facts(row, index) {
    const list = element("ul", { class: "facts" });
    const fact = (label, value, kind) =>
      list.append(element("li", {}, `${label} `, element("b", kind ? { class: kind } : {}, value)));
    const score = row.derived ? row.fresh : row.score;
    if (score === null) fact("outcome", words(row.status));
    else {
      fact(index.metric, score.toFixed(5) + (row.stderr === null ? "" : ` ± ${row.stderr.toFixed(5)}`));
      fact(row.derived ? "runs on fresh seeds" : "runs", String(row.runs));
    }
    const over = row.derived && row.gain !== null ? ` over ${index.rows.get(row.parents[0]).name}, on the same seeds` : "";
    if (row.gain !== null) fact(`gain${over}`, signed(row.gain), row.gain > 0 ? "better" : "worse");
    if (row.confirmed !== null) {
      const interval = `${row.confirmed_low.toFixed(4)} to ${row.confirmed_high.toFixed(4)}`;
      fact("confirmed", `${row.confirmed.toFixed(4)} (95 % ${interval})`);
    }
    fact("operator", row.operator);
    if (row.model) fact("model", row.model);
    fact("generation", String(row.generation));
    if (row.elite !== null) fact("rank in the population", String(row.elite + 1));
    if (row.branch) fact("branch", row.branch);
    fact("commit", row.commit.slice(0, 10));
    return list;
  }

  relatives(label, ids, index) {
    if (!ids.length) return null;
    const shown = ids.slice(0, 24);
    const line = element("div", { class: "relatives" }, label);
    for (const id of shown) {
      const { idea, name } = index.rows.get(id);
      const button = element("button", { type: "button", title: idea }, name);
      button.addEventListener("click", () => this.choose(id, { read: true }));
      line.append(button);
    }
    if (ids.length > shown.length) line.append(`and ${ids.length - shown.length} more`);
    return line;
  }

  runs(own, row, index) {
    if (!own.evaluations.length) return [element("h3", {}, "Runs"), element("p", {}, "Not evaluated yet.")];
    const head = ["run", index.metric, "seconds", "steps", "memory"].map((text) => element("th", { scope: "col" }, text));
    const table = element("table", { class: "runs" }, element("thead", {}, element("tr", {}, ...head)));
    const body = element("tbody");
    const counts = {};
    for (const run of own.evaluations) {
      counts[run.kind] = (counts[run.kind] ?? 0) + 1;
      const name = run.kind === "first" ? "first" : `${run.kind} ${counts[run.kind]}`;
      const ended = run.score === undefined ? words(run.status) + (run.reason ? `: ${run.reason}` : "") : run.score.toFixed(5);
      const seconds = run.seconds_total === undefined ? "" : run.seconds_total.toFixed(1);
      const memory = run.peak_memory_mb === undefined ? "" : `${run.peak_memory_mb.toFixed(0)} MB`;
      const untrusted = run.trusted === false ? " (untrusted: printed by the script)" : "";
      const cells = [name, ended + untrusted, seconds, run.steps ?? "", memory];
      body.append(element("tr", {}, ...cells.map((text) => element("td", {}, String(text)))));
    }
    table.append(body);
    const parts = [element("h3", {}, "Runs"), element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Runs" }, table)];
    for (const run of own.evaluations) {
      if (run.status === "ok" || !run.tail) continue;
      parts.push(element("h3", {}, "The last lines it printed"), element("pre", { tabindex: "0" }, run.tail));
    }
    return parts;
  }

  curves(row, own, index, details) {
    const origin = row.parents.length ? details.individuals[row.parents[0]].evaluations : [];
    const chart = curveChart([
      ...origin.slice(0, 1).map((run) => ({ points: run.curve, colour: "var(--faint)" })),
      ...own.evaluations.map((run) => ({ points: run.curve, colour: run.status === "ok" ? "var(--accent)" : "var(--strong)" })),
    ]);
    if (!chart) return [];
    const remark = origin.length ? ` (grey: ${index.rows.get(row.parents[0]).name})` : "";
    return [element("h3", {}, `Training loss over the time box${remark}`), chart];
  }

  exchanges(own, details) {
    if (!own.exchanges.length) return [];
    const parts = [element("h3", {}, "Prompts and replies")];
    for (const exchange of own.exchanges) {
      const tokens = `${exchange.input_tokens} + ${exchange.output_tokens} tokens`;
      const cost = exchange.cost === null ? "cost unknown" : `cost ${exchange.cost.toPrecision(3)}`;
      const ended = exchange.rejection ?? exchange.fault ?? (exchange.repaired ? `sent back: ${exchange.repaired}` : "");
      const title = [exchange.model, exchange.intent ?? exchange.operator, tokens, cost, ended].filter(Boolean).join(", ");
      const block = element("details", {}, element("summary", {}, title));
      // Prompts are long: their text becomes elements when they are opened.
      block.addEventListener("toggle", () => this.exchange(block, exchange, details), { once: true });
      parts.push(block);
    }
    return parts;
  }

  ideas(own) {
    if (!own.ideas.length) return [];
    const told = ({ idea, status, score }) => [idea, status, score].filter((part) => part !== null && part !== "").join(", ");
    const list = element("ul", {}, ...own.ideas.map((tried) => element("li", {}, told(tried))));
    return [element("h3", {}, "Tried on it before this archive began"), list];
  }

  exchange(block, exchange, details) {
    const said = exchange.messages.map(({ role, text }) => [role, text.map((place) => details.paragraphs[place]).join("\n\n")]);
    if (exchange.reply) said.push(["reply", exchange.reply]);
    if (exchange.reason) said.push(["what came of it", exchange.reason]);
    for (const [role, text] of said) {
      block.append(element("p", { class: "role" }, role), element("pre", { class: "words", tabindex: "0" }, text));
    }
  }
}

/** A unified diff with its lines coloured. */
function diffView(text) {
  const view = element("pre", { class: "diff", tabindex: "0", "aria-label": "Diff" });
  if (!text) view.append("The script is the same.");
  for (const line of text.replace(/\n$/, "").split("\n")) {
    const kind = { "+": "added", "-": "removed", "@": "place" }[line[0]];
    view.append(kind ? element("span", { class: kind }, line) : line, "\n");
  }
  return view;
}

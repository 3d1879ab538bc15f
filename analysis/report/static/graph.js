// The lineage graph: Cytoscape.js with places from the index, colours from the page's style.

const STEP_X = 46;
const STEP_Y = 66; // at least; more where the graph is much wider than high
const LARGE = 600; // individuals, from which on speed counts more than finish

class LineageGraph {
  constructor(root, choose) {
    this.root = root;
    this.choose = choose;
    this.touched = false; // the user has moved it: it keeps its place then
    this.cy = cytoscape({
      container: root,
      autoungrabify: true,
      boxSelectionEnabled: false,
      selectionType: "single",
      minZoom: 0.02,
      maxZoom: 3,
      userZoomingEnabled: false,
      hideEdgesOnViewport: false,
      pixelRatio: "auto",
    });
    this.cy.on("tap", "node", (event) => choose(Number(event.target.id()), { from: "graph" }));
    this.cy.on("pan zoom", () => {
      if (!this.fitting) this.touched = true;
    });
    // The wheel scrolls the page until the graph is in use.
    root.addEventListener("focusin", () => this.cy.userZoomingEnabled(true));
    root.addEventListener("focusout", () => this.cy.userZoomingEnabled(false));
    root.addEventListener("pointerdown", () => root.focus({ preventScroll: true }));
    root.addEventListener("keydown", (event) => this.key(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.restyle());
    new ResizeObserver(() => {
      this.cy.resize();
      if (!this.touched) this.fit();
    }).observe(root);
  }

  show(index) {
    this.index = index;
    const nodes = [];
    const edges = [];
    const rows = [...index.rows.values()];
    const extent = (values) => values.reduce((a, b) => Math.max(a, b), 0) - values.reduce((a, b) => Math.min(a, b), 0);
    const width = STEP_X * extent(rows.map((row) => row.x));
    const stepY = Math.min(220, Math.max(STEP_Y, (0.7 * width) / (extent(rows.map((row) => row.y)) || 1)));
    for (const row of rows) {
      const kind = row.derived ? "derived" : row.score !== null ? "scored" : row.status === "pending" ? "pending" : "failed";
      nodes.push({
        data: { id: String(row.id), label: row.name, colour: row.colour ?? "#888888" },
        position: { x: row.x * STEP_X, y: row.y * stepY },
        classes: [kind, row.parents.length > 1 && !row.derived && "crossover", row.champion && "path"].filter(Boolean),
      });
    }
    for (const [parent, child, rank] of index.edges) {
      const path = rank === 0 && index.rows.get(parent).champion && index.rows.get(child).champion;
      edges.push({
        data: { id: `${parent}-${child}`, source: String(parent), target: String(child) },
        classes: rank ? "second" : path ? "path" : "",
      });
    }
    this.cy.batch(() => {
      this.cy.elements().remove();
      this.cy.add(edges.length ? { nodes, edges } : { nodes });
    });
    this.root.setAttribute("aria-label", `Lineage graph of ${nodes.length} individuals`);
    this.restyle();
    if (!this.touched) this.fit();
    this.mark(this.chosen);
  }

  restyle() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const large = this.index.rows.size > LARGE;
    this.cy.style([
      {
        selector: "node",
        style: {
          width: large ? 36 : 24,
          height: large ? 36 : 24,
          "background-color": "data(colour)",
          "border-width": large ? 0 : 1,
          "border-color": colour("--ink"),
          label: "data(label)",
          color: colour("--ink"),
          "font-size": 11,
          "text-valign": "bottom",
          "text-margin-y": 3,
          "text-outline-color": colour("--panel"), // over the edge to a child
          "text-outline-width": 2.5,
          "min-zoomed-font-size": 8,
        },
      },
      { selector: "node.crossover", style: { shape: "diamond", width: large ? 40 : 28, height: large ? 40 : 28 } },
      {
        selector: "node.failed, node.pending",
        style: { width: large ? 18 : 13, height: large ? 18 : 13, "background-opacity": 0, "border-width": 2, "border-color": colour("--muted") },
      },
      { selector: "node.pending", style: { "border-style": "dashed" } },
      {
        selector: "node.derived",
        style: { shape: "rectangle", width: large ? 30 : 18, height: large ? 30 : 18, "background-color": colour("--panel"), "border-width": 2 },
      },
      { selector: "node.path", style: { width: large ? 44 : 32, height: large ? 44 : 32, "border-width": 3, "font-weight": "bold" } },
      {
        selector: "edge",
        style: { width: 2, "line-color": colour("--edge"), "curve-style": "haystack", "haystack-radius": 0, events: "no" },
      },
      { selector: "edge.second", style: { width: 2.5, "line-color": colour("--second"), "line-style": "dashed", opacity: large ? 0.4 : 1 } },
      { selector: "edge.path", style: { width: large ? 18 : 6, "line-color": colour("--ink"), "z-index": 2 } },
      { selector: "edge.line", style: { width: large ? 16 : 4, "line-color": colour("--accent"), "z-index": 3 } },
      { selector: ".dim", style: { opacity: 0.1 } },
      {
        selector: "node.chosen",
        style: { "border-width": 5, "border-color": colour("--accent"), "border-style": "solid", width: large ? 56 : 38, height: large ? 56 : 38, opacity: 1, "z-index": 9 },
      },
    ]);
  }

  /** Dim all whose ids are not in `visible`. */
  filter(visible) {
    this.cy.batch(() => {
      if (visible.size === this.index.rows.size) {
        this.cy.elements().removeClass("dim");
        return;
      }
      this.cy.nodes().forEach((node) => node.toggleClass("dim", !visible.has(Number(node.id()))));
      this.cy.edges().forEach((edge) => edge.toggleClass("dim", edge.source().hasClass("dim") || edge.target().hasClass("dim")));
    });
  }

  /** Mark an individual and its lineage of first parents; null: none. */
  mark(id) {
    this.chosen = id;
    this.cy.batch(() => {
      this.cy.elements(".chosen, .line").removeClass("chosen line");
      if (id === null || id === undefined || !this.index.rows.has(id)) return;
      this.cy.getElementById(String(id)).addClass("chosen");
      for (let row = this.index.rows.get(id); row.parents.length; row = this.index.rows.get(row.parents[0])) {
        this.cy.getElementById(`${row.parents[0]}-${row.id}`).addClass("line");
      }
    });
  }

  /** Move the view so that an individual is inside. */
  reveal(id) {
    const at = this.cy.getElementById(String(id)).renderedPosition();
    const margin = 40;
    const inside = at.x > margin && at.y > margin && at.x < this.cy.width() - margin && at.y < this.cy.height() - margin;
    if (!inside) this.cy.center(this.cy.getElementById(String(id)));
  }

  zoom(factor) {
    const centre = { x: this.cy.width() / 2, y: this.cy.height() / 2 };
    const chosen = this.chosen ?? null;
    const around = chosen === null ? centre : this.cy.getElementById(String(chosen)).renderedPosition();
    this.cy.zoom({ level: this.cy.zoom() * factor, renderedPosition: around });
  }

  fit() {
    this.fitting = true;
    this.cy.fit(undefined, 26);
    if (this.cy.zoom() > 1.1) {
      this.cy.zoom(1.1);
      this.cy.center();
    }
    this.fitting = false;
    this.touched = false;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const row = this.index.rows.get(this.chosen);
    const actions = {
      ArrowUp: () => this.go(row?.parents[0]),
      ArrowDown: () => this.go(row?.children.find((id) => this.index.rows.get(id).champion) ?? row?.children[0]),
      ArrowLeft: () => this.go(this.beside(row, -1)),
      ArrowRight: () => this.go(this.beside(row, 1)),
      Home: () => this.go(0),
      End: () => this.go(this.index.champion ?? 0),
      Enter: () => this.choose(this.chosen ?? 0, { read: true }),
      Escape: () => this.choose(null, { from: "graph" }),
      "+": () => this.zoom(1.3),
      "=": () => this.zoom(1.3),
      "-": () => this.zoom(1 / 1.3),
      0: () => this.fit(),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    if (event.key.startsWith("Arrow") && !row) this.go(this.index.champion ?? 0);
    else actions[event.key]();
  }

  go(id) {
    if (id === undefined) return;
    this.choose(id, { from: "graph" });
    this.reveal(id);
  }

  /** The neighbour in the same generation. */
  beside(row, side) {
    if (!row) return undefined;
    let found;
    for (const other of this.index.rows.values()) {
      if (other.generation !== row.generation || (other.x - row.x) * side <= 0) continue;
      if (!found || Math.abs(other.x - row.x) < Math.abs(found.x - row.x)) found = other;
    }
    return found?.id;
  }
}

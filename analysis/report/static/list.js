// The individuals as a list of buttons: all that the graph shows, for the keyboard and for readers of the screen.

class IndividualList {
  constructor(root, order, choose) {
    this.root = root;
    this.order = order;
    this.choose = choose;
    order.addEventListener("change", () => this.show(this.index, this.visible));
    root.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) choose(Number(button.dataset.id), { from: "individuals" });
    });
    root.addEventListener("keydown", (event) => this.key(event));
  }

  /** Show the individuals whose ids are in `visible`. */
  show(index, visible) {
    this.index = index;
    this.visible = visible;
    const rows = [...visible].map((id) => index.rows.get(id));
    const sign = index.minimise ? 1 : -1;
    const last = (value) => (value === null ? Infinity : value);
    const orders = {
      id: (a, b) => b.id - a.id,
      score: (a, b) => last(a.score === null ? null : sign * a.score) - last(b.score === null ? null : sign * b.score) || a.id - b.id,
      gain: (a, b) => last(a.gain === null ? null : -a.gain) - last(b.gain === null ? null : -b.gain) || a.id - b.id,
    };
    rows.sort(orders[this.order.value]);
    this.root.replaceChildren(...rows.map((row) => this.item(row)));
    this.mark(this.chosen);
  }

  item(row) {
    const gain = row.gain === null ? "" : signed(row.gain);
    const button = element(
      "button",
      { type: "button", "data-id": row.id, tabindex: "-1" },
      element("span", { class: "number" }, row.name),
      element("span", {}, scoreText(row)),
      element("span", { class: `gain ${row.gain > 0 ? "better" : ""}` }, gain),
      element("span", { class: "idea" }, row.idea),
    );
    return element("li", row.champion ? { class: "champion" } : {}, button);
  }

  /** Mark the chosen one; it, or else the first, is where the tab key enters the list. */
  mark(id) {
    this.chosen = id;
    for (const old of this.root.querySelectorAll('[aria-current], [tabindex="0"]')) {
      old.removeAttribute("aria-current");
      old.tabIndex = -1;
    }
    const button = this.root.querySelector(`button[data-id="${id}"]`);
    if (button) button.setAttribute("aria-current", "true");
    const entry = button ?? this.root.querySelector("button");
    if (entry) entry.tabIndex = 0;
    // Not scrollIntoView: the page itself must stay where it is.
    if (button) {
      const item = button.parentElement;
      const above = item.offsetTop - this.root.offsetTop;
      const view = this.root.scrollTop;
      if (above < view || above + item.offsetHeight > view + this.root.clientHeight) this.root.scrollTop = above - 60;
    }
  }

  key(event) {
    const item = event.target.closest("li");
    const moves = {
      ArrowDown: () => item.nextElementSibling,
      ArrowUp: () => item.previousElementSibling,
      Home: () => this.root.firstElementChild,
      End: () => this.root.lastElementChild,
    };
    if (!item || !moves[event.key]) return;
    event.preventDefault();
    const next = moves[event.key]();
    if (next) next.firstElementChild.focus();
  }
}

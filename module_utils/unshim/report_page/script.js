"use strict";
// Only makes the page handier: all of it is there, and can be read, without.
(() => {
  const byId = (id) => document.getElementById(id);
  const rows = [...document.querySelectorAll("#table tbody tr")];
  const followers = new Map();
  for (const element of document.querySelectorAll(".timeline tbody tr, details.node")) {
    const number = element.dataset.node;
    followers.set(number, [...(followers.get(number) || []), element]);
  }
  const details = new Map([...document.querySelectorAll("details.node")].map((one) => [one.dataset.node, one]));
  // What a row is found by: itself, and what its details say of findings and system.
  const words = new Map(rows.map((row) => {
    const own = details.get(row.dataset.node);
    const more = [...own.querySelectorAll(".facts dd, .affected, .said")].map((one) => one.textContent);
    return [row, [row.textContent, ...more].join(" ").toLowerCase()];
  }));

  const form = byId("filter"), text = byId("text"), status = byId("status"), role = byId("role");
  const tiles = [...document.querySelectorAll(".tile")];

  function filter() {
    const asked = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const fits = (!status.value || row.dataset.status === status.value) && (!role.value || row.dataset.role === role.value) &&
        asked.every((word) => words.get(row).includes(word));
      row.hidden = !fits;
      for (const one of followers.get(row.dataset.node) || []) one.hidden = !fits;
      shown += fits;
    }
    byId("shown").textContent = `${shown} of ${rows.length} nodes`;
    byId("none").hidden = shown > 0 || !rows.length;
    for (const tile of tiles) tile.setAttribute("aria-pressed", String(tile.dataset.status === status.value));
  }

  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("input", filter);
  for (const tile of tiles) {
    const has = [...status.options].some((option) => option.value === tile.dataset.status);
    tile.disabled = !has;
    tile.addEventListener("click", () => {
      status.value = status.value === tile.dataset.status ? "" : tile.dataset.status;
      filter();
    });
  }

  function key(row, column, kind) {
    const cell = row.children[column];
    return kind === "number" ? Number(cell.dataset.value) : cell.textContent.trim();
  }
  const names = new Intl.Collator("en", { numeric: true });
  for (const head of document.querySelectorAll("#table th[data-sort]")) {
    const column = [...head.parentElement.children].indexOf(head);
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentElement.children) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const kind = head.dataset.sort;
      const keyed = rows.map((row) => [key(row, column, kind), row]);
      keyed.sort(([a], [b]) => (kind === "number" ? a - b : names.compare(a, b)) * (down ? -1 : 1));
      document.querySelector("#table tbody").append(...keyed.map(([, row]) => row));
    });
  }

  const axis = byId("axis");
  if (axis) {
    axis.hidden = false;
    axis.addEventListener("change", () => {
      for (const part of document.querySelectorAll(".timeline rect")) {
        const x = part.getAttribute("x"), width = part.getAttribute("width");
        part.setAttribute("x", part.dataset.x);
        part.setAttribute("width", part.dataset.width);
        part.dataset.x = x;
        part.dataset.width = width;
      }
    });
  }

  const all = byId("all");
  all.hidden = false;
  all.addEventListener("click", (event) => {
    const open = event.target.dataset.open;
    if (open) for (const one of details.values()) one.open = open === "true" && !one.hidden;
  });

  function openTarget() {
    const target = location.hash && byId(location.hash.slice(1));
    if (!target) return;
    if (target.hidden) { form.reset(); filter(); }
    if (target.tagName === "DETAILS") {
      target.open = true;
      target.firstElementChild.tabIndex = 0;
      target.firstElementChild.focus({ preventScroll: true });
    }
    target.scrollIntoView();
  }
  addEventListener("hashchange", openTarget);
  filter();
  openTarget();
})();

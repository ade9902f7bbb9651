// Without this script the page is still complete: tables, sentences, definitions. It draws the charts.
(function () {
  "use strict";
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const specs = read("specs"), markets = read("markets");
  const days = document.getElementById("days"), definition = document.getElementById("definition");
  const views = [];

  // Rows travel as columns and values: a third of the size.
  const unpack = (table) => table.rows.map((row) => Object.fromEntries(row.map((v, i) => [table.columns[i], v])));
  for (const market of Object.values(markets)) {
    for (const name of Object.keys(market.tables)) market.tables[name] = unpack(market.tables[name]);
    market.tables.daily.forEach((row) => { row.t = Date.parse(row.day); });
    market.tables.events.forEach((row) => { row.t = Date.parse(row.day) + 43200000; });
  }

  function specOf(figure) {
    const market = markets[figure.dataset.market];
    const spec = structuredClone(specs[figure.dataset.chart] || specs[figure.dataset.market + ":" + figure.dataset.chart]);
    const values = { days: Number(days.value), definition: definition.value, last: Date.parse(market.last) };
    (spec.params || []).forEach((parameter) => { parameter.value = values[parameter.name]; });
    spec.datasets = Object.assign({}, spec.datasets, market.tables);
    return spec;
  }

  function filterTables() {
    document.querySelectorAll("[data-filtered]").forEach((body) => {
      let shown = 0;
      body.querySelectorAll("[data-definition]").forEach((row) => {
        row.hidden = row.dataset.definition !== definition.value;
        shown += row.hidden ? 0 : 1;
      });
      body.querySelectorAll(".none").forEach((row) => { row.hidden = shown > 0; });
    });
    document.querySelectorAll(".definition").forEach((name) => { name.textContent = definition.value; });
  }

  function set(name, value) {
    views.forEach((view) => {
      try { view.signal(name, value); } catch (error) { return; }  // not every chart has every parameter
      view.runAsync();
    });
  }

  // Paper cannot be unfolded. Every column of every table would be a book, so that list stays folded.
  addEventListener("beforeprint", () => {
    document.querySelectorAll("main section:not(#definitions) > details").forEach((folded) => { folded.open = true; });
  });

  document.documentElement.classList.add("js");
  filterTables();
  days.addEventListener("change", () => set("days", Number(days.value)));
  definition.addEventListener("change", () => { filterTables(); set("definition", definition.value); });

  // A link to a section is followed before the charts above it have their height, and so lands elsewhere.
  let hasMoved = false;
  for (const act of ["wheel", "touchstart", "keydown", "pointerdown"]) {
    addEventListener(act, () => { hasMoved = true; }, { once: true, passive: true });
  }
  function land() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && !hasMoved) target.scrollIntoView({ behavior: "instant" });
  }

  (async () => {
    for (const figure of document.querySelectorAll(".chart")) {
      const made = await vegaEmbed(figure, specOf(figure), {
        // Errors only: a chart of a day without events is no mistake.
        actions: false, renderer: "svg", logLevel: 1, tooltip: { theme: "custom" },
      });
      views.push(made.view);
    }
    land();
    document.documentElement.dataset.drawn = String(views.length);
  })();
})();

// Without this script the page is still complete: tables, sentences, definitions. It draws the charts.
(function () {
  "use strict";
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const specs = read("specs"), markets = read("markets");
  const days = document.getElementById("days"), definition = document.getElementById("definition");
  const views = [];
  const MARK_WIDTH = 17;  // pixels: a triangle, or a rank of two digits

  // Rows travel as columns and values: a third of the size.
  const unpack = (table) => table.rows.map((row) => Object.fromEntries(row.map((v, i) => [table.columns[i], v])));
  for (const market of Object.values(markets)) {
    for (const name of Object.keys(market.tables)) market.tables[name] = unpack(market.tables[name]);
    market.tables.daily.forEach((row) => { row.t = Date.parse(row.day); });
    market.tables.events.forEach((row) => { row.t = Date.parse(row.day) + 43200000; });
    market.tables.positions.forEach((row) => { row.t = Date.parse(row.day); });
  }

  // As wide as the page's text, also where a chart is folded away and has no width of its own.
  function room(figure) {
    const main = document.querySelector("main"), style = getComputedStyle(main);
    const inner = main.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    return figure.clientWidth || inner - 18 * Math.max(0, depth(figure));
  }
  function depth(element) {
    let count = 0;
    for (let at = element.parentElement; at; at = at.parentElement) count += at.tagName === "DETAILS" ? 1 : 0;
    return count;
  }

  // The events of the chosen definition whose marks do not lie on each other: the higher rank is kept, side by side.
  function apart(events, width) {
    const gap = Math.min(Number(days.value), 760) * 86400000 * MARK_WIDTH / Math.max(width - 60, 100);
    const kept = [];
    for (const event of [...events].sort((one, other) => one.event_rank - other.event_rank || other.t - one.t)) {
      const isFree = kept.every((other) => other.definition !== event.definition || other.side !== event.side
        || Math.abs(other.t - event.t) >= gap);
      if (isFree) kept.push(event);
    }
    return kept;
  }

  function specOf(figure) {
    const market = markets[figure.dataset.market];
    const spec = structuredClone(specs[figure.dataset.chart] || specs[figure.dataset.market + ":" + figure.dataset.chart]);
    const values = { days: Number(days.value), definition: definition.value, last: Date.parse(market.last) };
    (spec.params || []).forEach((parameter) => { parameter.value = values[parameter.name]; });
    const width = room(figure);
    spec.datasets = Object.assign({}, spec.datasets, market.tables, { events: apart(market.tables.events, width) });
    delete spec.datasets.ranks;
    spec.width = width;
    spec.autosize = { type: "fit-x", contains: "padding" };
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
    views.forEach(({ view, figure }) => {
      if (figure.dataset.chart === "net") {
        view.data("events", apart(markets[figure.dataset.market].tables.events, room(figure)));
      }
      try { view.signal(name, value); } catch (error) { return; }  // not every chart has every parameter
      view.runAsync();
    });
  }

  // ---- one day in detail

  const byId = (id) => document.getElementById(id);
  const picker = byId("day-market") && { market: byId("day-market"), date: byId("day-date"), ranked: byId("day-ranked"),
    before: byId("day-before"), after: byId("day-after"), panel: byId("day-panel") };
  const definitionNames = picker ? read("definition-names") : {};
  const numeral = (value, digits) => value === null || value === undefined ? "–"
    : value.toLocaleString("en-US", { maximumFractionDigits: digits, minimumFractionDigits: digits }).replace("-", "−");
  const millions = (value) => value === null || value === undefined ? "–" : numeral(value / 1e6, 1) + " M";
  const percent = (value) => value === null || value === undefined ? "–" : numeral(value * 100, 2) + "%";

  function element(name, text, style) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (style) made.className = style;
    return made;
  }

  function card(name, number, note, style) {
    const made = element("div", undefined, "card");
    const shown = element("dd", undefined, "number");
    shown.append(element("span", number, style));
    made.append(element("dt", name), shown, element("dd", note, "note"));
    return made;
  }

  function rankTable(market, day, ranks) {
    const scroll = element("div", undefined, "scroll"), table = element("table"), caption = element("caption");
    const label = `${market.name}: the most extreme bar of ${day} under each definition`;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", label);
    scroll.tabIndex = 0;
    caption.append(element("span", label));
    const head = element("thead"), titles = element("tr"), body = element("tbody");
    const columns = ["Definition", "Side", "Bar (UTC)", "#Value", "#Rank", "#of bars", "#Percentile", "#Event rank"];
    columns.forEach((title) => {
      const cell = element("th", title.replace("#", ""), title.startsWith("#") ? "n" : undefined);
      cell.scope = "col";
      titles.append(cell);
    });
    head.append(titles);
    ranks.forEach((row) => {
      const line = element("tr");
      const value = Math.abs(row.value) < 1 ? numeral(row.value, 4) : Math.abs(row.value) >= 1e6 ? millions(row.value)
        : numeral(row.value, 0);
      [definitionNames[row.definition] || row.definition, row.side, row.bar, value, numeral(row.rank, 0),
        numeral(row.of, 0), percent(row.pct), typeof row.event === "number" ? numeral(row.event, 0) : row.event]
        .forEach((text, place) => line.append(element("td", text, place > 2 ? "n" : undefined)));
      body.append(line);
    });
    table.append(caption, head, body);
    scroll.append(table);
    return scroll;
  }

  function showDay() {
    const market = markets[picker.market.value], day = picker.date.value, rows = market.tables.daily;
    const row = rows.find((one) => one.day === day);
    const ranks = market.tables.ranks.filter((one) => one.day === day);
    picker.before.disabled = !rows.length || day <= rows[0].day;
    picker.after.disabled = !rows.length || day >= rows[rows.length - 1].day;
    picker.ranked.value = [...picker.ranked.options].some((one) => one.value === day) ? day : "";
    if (!row) {
      picker.panel.replaceChildren(element("p", `${market.name} has no day ${day} in this publication.`, "empty"));
      return;
    }
    const cards = element("dl", undefined, "cards");
    cards.append(
      card("Net taker volume, USD", millions(row.net), `${day} · from ${row.source} · coverage ${percent(row.coverage)}`,
        row.net < 0 ? "sell" : "buy"),
      card("Taker sell ratio", numeral(row.ratio, 4), `sell percentile ${percent(row.sell_pct)}`),
      card("Close", numeral(row.close, 2), `trades and klines: ${row.verdict.replaceAll("_", " ")}`),
      card("Liquidated, long / short", row.liq_cov ? `${millions(row.long)} / ${millions(row.short)}` : "not known",
        row.liq_cov ? `USD, lower bounds · coverage ${percent(row.liq_cov)}` : "no feed and no file of this day"));
    const shown = [cards];
    if (row.note) shown.push(element("p", `This day is not as published: ${row.note}.`, "empty"));
    shown.push(ranks.length ? rankTable(market, day, ranks)
      : element("p", "No definition ranks this day: less than 95 % of its window, or of the day, is covered.", "empty"));
    picker.panel.replaceChildren(...shown);
  }

  function pickMarket(key, day) {
    const market = markets[key], rows = market.tables.daily;
    picker.market.value = key;
    picker.date.min = rows.length ? rows[0].day : "";
    picker.date.max = rows.length ? rows[rows.length - 1].day : "";
    const best = {};
    market.tables.ranks.forEach((row) => { best[row.day] = Math.min(best[row.day] || Infinity, row.rank); });
    const unusual = Object.keys(best).sort((one, other) => best[one] - best[other] || (one < other ? 1 : -1)).slice(0, 20);
    picker.ranked.replaceChildren(new Option("choose a day", ""),
      ...unusual.map((one) => new Option(`${one} (rank ${best[one]})`, one)));
    picker.date.value = day || market.last;
    showDay();
  }

  function step(count) {
    picker.date.value = new Date(Date.parse(picker.date.value) + count * 86400000).toISOString().slice(0, 10);
    showDay();
  }

  if (picker) {
    picker.market.addEventListener("change", () => pickMarket(picker.market.value));
    picker.date.addEventListener("change", showDay);
    picker.ranked.addEventListener("change", () => {
      if (picker.ranked.value) { picker.date.value = picker.ranked.value; showDay(); }
    });
    picker.before.addEventListener("click", () => step(-1));
    picker.after.addEventListener("click", () => step(1));
    pickMarket(picker.market.value);
  }

  // A link into a folded part unfolds it.
  function unfold() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  }
  addEventListener("hashchange", unfold);
  unfold();

  // Paper cannot be unfolded. Every column of every table would be a book, so that list stays folded.
  addEventListener("beforeprint", () => {
    document.querySelectorAll("main section:not(#definitions) details").forEach((folded) => { folded.open = true; });
  });

  document.documentElement.classList.add("js");
  filterTables();
  days.addEventListener("change", () => set("days", Number(days.value)));
  definition.addEventListener("change", () => { filterTables(); set("definition", definition.value); });

  // The bar has as many lines as the markets' names need: a section begins below it.
  function keepClear() {
    const bar = document.querySelector(".bar");
    const isSticky = getComputedStyle(bar).position === "sticky";
    document.documentElement.style.scrollPaddingTop = isSticky ? `${bar.offsetHeight + 8}px` : "0";
  }
  keepClear();
  addEventListener("resize", keepClear);

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
      views.push({ view: made.view, figure });
      if (figure.dataset.chart === "net" && picker) {
        made.view.addEventListener("click", (event, item) => {
          if (!item || !item.datum || !item.datum.day) return;
          pickMarket(figure.dataset.market, item.datum.day);
          document.getElementById("day").scrollIntoView();
        });
      }
    }
    addEventListener("resize", () => views.forEach(({ view, figure }) => view.width(room(figure)).runAsync()));
    land();
    document.documentElement.dataset.drawn = String(views.length);
  })();
})();

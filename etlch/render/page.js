// The page's only script: the theme button and the sample browser. It writes text nodes only,
// never markup; the page's policy forbids markup from strings (trusted types).
"use strict";
(() => {
  const SIGNS = { matched: "✓", missing: "○", spurious: "✕", "": "·" };
  // The page holds the translations of these messages where it is not in English.
  const translated = document.getElementById("words");
  const MESSAGES = translated ? JSON.parse(translated.textContent) : {};
  const _ = (message, values) => (MESSAGES[message] || message).replace(/\{(\w+)\}/g, (_whole, name) => values[name]);
  const WORDS = { matched: _("matched"), missing: _("missing"), spurious: _("spurious"), "": _("fact") };
  const OUTCOMES = ["right", "partly", "wrong", "unparseable"];
  const OUTCOME_WORDS = [_("right"), _("partly"), _("wrong"), _("unparseable")];
  const OUTCOME_SIGNS = ["●", "◐", "○", "⊘"];
  const CHUNK = 200;

  function make(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  function themeButton() {
    const button = document.querySelector("button.theme");
    const themes = [["", _("Theme: as the system")], ["light", _("Theme: light")], ["dark", _("Theme: dark")]];
    let chosen = 0;
    button.hidden = false;
    button.addEventListener("click", () => {
      chosen = (chosen + 1) % themes.length;
      document.documentElement.dataset.theme = themes[chosen][0];
      button.textContent = themes[chosen][1];
    });
  }

  // Offsets count characters as Python does; JavaScript's strings count UTF-16 units.
  function characters(text) {
    return /[\ud800-\udfff]/.test(text) ? Array.from(text) : null;
  }

  function highlighted(text, marks) {
    const list = characters(text);
    const slice = (from, to) => (list ? list.slice(from, to).join("") : text.slice(from, to));
    const length = list ? list.length : text.length;
    const cuts = new Set([0, length]);
    for (const mark of marks) {
      cuts.add(Math.min(mark.start, length));
      cuts.add(Math.min(mark.end, length));
    }
    const places = [...cuts].sort((a, b) => a - b);
    const whole = make("p", { class: "prose" });
    for (let i = 0; i + 1 < places.length; i += 1) {
      const [from, to] = [places[i], places[i + 1]];
      const here = marks.filter((mark) => mark.start <= from && mark.end >= to);
      const piece = slice(from, to);
      if (!here.length) {
        whole.append(piece);
        continue;
      }
      const kinds = [...new Set(here.map((mark) => mark.kind || "plain"))];
      const title = [...new Set(here.map((mark) => mark.title))].join("\n");
      whole.append(make("mark", { class: kinds.join(" "), title }, piece));
    }
    return whole;
  }

  function factText(parts) {
    if (parts.length === 2) return [make("span", { class: "part" }, _("{name}: ", { name: parts[0] })), parts[1]];
    const pieces = [];
    parts.forEach((part, i) => {
      if (i) pieces.push(make("span", { class: "part" }, " → "));
      pieces.push(part);
    });
    return pieces;
  }

  function factList(facts, empty) {
    if (!facts.length) return make("p", { class: "small" }, empty);
    const list = make("ul", { class: "facts" });
    for (const [parts, , kind, note] of facts) {
      const row = make("li", { class: kind || "plain" });
      const sign = make("span", { class: "sign", "aria-hidden": "true" }, SIGNS[kind || ""]);
      const said = kind ? make("span", { class: "unseen" }, _("{name}: ", { name: WORDS[kind] })) : null;
      row.append(sign, make("span", {}, said, make("span", { class: "fact" }, ...factText(parts)),
        note ? make("span", { class: "note" }, note) : null));
      list.append(row);
    }
    return list;
  }

  function marksOf(facts) {
    const marks = [];
    for (const [parts, spans, kind, note] of facts) {
      const fact = (kind ? _("{name}: ", { name: WORDS[kind] }) : "") + parts.join(" – ");
      const title = note ? _("{fact} ({note})", { fact, note }) : fact;
      for (const [start, end] of spans) marks.push({ start, end, kind: kind || "", title });
    }
    return marks;
  }

  function browser(root) {
    const data = JSON.parse(document.getElementById(`${root.id}-data`).textContent);
    const { samples, models, tasks, errors, texts } = data;
    const form = root.querySelector("form");
    const list = root.querySelector(".list");
    const pane = root.querySelector(".sample");
    const count = root.querySelector(".count");
    const field = (name) => (form.elements[name] ? form.elements[name].value : "");
    const byId = new Map(samples.map((sample, i) => [sample.id, i]));
    const searchable = [];
    let rows = [];
    let shown = 0;
    let current = -1;

    function searchText(index) {
      if (searchable[index] === undefined) {
        const sample = samples[index];
        searchable[index] = [sample.id, texts[sample.article], texts[sample.instruction], sample.gold,
          ...Object.values(sample.answers).map((answer) => answer.text)].join("\n").toLowerCase();
      }
      return searchable[index];
    }

    function factsKey(answer) {
      if (answer.key === undefined) {
        answer.key = JSON.stringify(answer.facts.map((fact) => fact[0]).sort()) + answer.outcome;
      }
      return answer.key;
    }

    function related(answer, beside, relation) {
      if (!relation) return true;
      if (!answer || !beside) return false;
      if (relation === "better") return answer.score > beside.score;
      if (relation === "worse") return answer.score < beside.score;
      return factsKey(answer) !== factsKey(beside);
    }

    function passes(answer, wanted) {
      if (!answer) return !wanted.outcome && !wanted.error;
      if (wanted.outcome && OUTCOMES[answer.outcome] !== wanted.outcome) return false;
      return !wanted.error || answer.errors.some((kind) => errors[kind] === wanted.error);
    }

    function chosenModels(name) {
      if (!models.length) return [-1];
      return name ? [models.indexOf(name)] : models.map((_, i) => i);
    }

    function select() {
      const wanted = { outcome: field("outcome"), error: field("error") };
      const task = field("task");
      const words = field("text").toLowerCase().split(/\s+/).filter(Boolean);
      const other = models.indexOf(field("other"));
      const relation = field("relation");
      const columns = chosenModels(field("model"));
      const found = [];
      samples.forEach((sample, index) => {
        if (task && tasks[sample.task] !== task) return;
        if (words.length && !words.every((word) => searchText(index).includes(word))) return;
        for (const model of columns) {
          const answer = sample.answers[model];
          if (model >= 0 && !answer) continue;
          if (!passes(answer, wanted)) continue;
          if (other >= 0 && (model === other || !related(answer, sample.answers[other], relation))) continue;
          found.push({ index, model });
        }
      });
      return sorted(found, field("sort"));
    }

    function sorted(found, order) {
      if (!models.length || order === "file") return found;
      const sign = order === "best" ? -1 : 1;
      const score = (row) => samples[row.index].answers[row.model].score;
      const wrong = (row) => samples[row.index].answers[row.model].errors.length;
      return found.sort((a, b) => sign * (score(a) - score(b)) || sign * (wrong(b) - wrong(a))
        || a.index - b.index || a.model - b.model);
    }

    function rowNode(row, place) {
      const sample = samples[row.index];
      const answer = sample.answers[row.model];
      const node = make("li", { role: "option", id: `${root.id}-row-${place}`, "aria-selected": "false",
        "aria-posinset": place + 1, "aria-setsize": rows.length });
      const sign = answer ? OUTCOME_SIGNS[answer.outcome] : "·";
      const spoken = answer ? make("span", { class: "unseen" }, OUTCOME_WORDS[answer.outcome]) : null;
      const kinds = answer ? answer.errors.map((kind) => errors[kind]).join(_(", ")) || _("no error") : "";
      const about = answer ? `${models[row.model]} · ${kinds}` : texts[sample.article].slice(0, 60);
      node.append(make("span", { class: "sign", "aria-hidden": "true" }, sign),
        make("span", {}, `${sample.id} `, spoken),
        make("span", { class: "score" }, answer ? answer.score.toFixed(2) : tasks[sample.task]),
        make("span", { class: "about" }, about));
      return node;
    }

    function showMore() {
      const last = Math.min(rows.length, shown + CHUNK);
      const more = document.createDocumentFragment();
      for (; shown < last; shown += 1) more.append(rowNode(rows[shown], shown));
      list.append(more);
    }

    function refresh(keep) {
      if (form.elements.relation) form.elements.relation.disabled = !field("other");
      rows = select();
      shown = 0;
      current = -1;
      list.replaceChildren();
      list.scrollTop = 0;
      showMore();
      const all = models.length ? samples.reduce((sum, s) => sum + Object.keys(s.answers).length, 0) : samples.length;
      const counted = { count: rows.length, all };
      count.textContent = models.length ? _("{count} of {all} predictions", counted) : _("{count} of {all} samples", counted);
      const place = keep ? rows.findIndex((row) => same(row, keep)) : -1;
      if (rows.length) open(Math.max(0, place), { hash: false });
      else {
        list.removeAttribute("aria-activedescendant");
        pane.replaceChildren(make("p", { class: "small" }, _("Nothing passes these filters.")));
      }
    }

    function same(row, wanted) {
      return row.index === wanted.index && (wanted.model === undefined || row.model === wanted.model);
    }

    function open(place, { hash = true, scroll = false } = {}) {
      if (place < 0 || place >= rows.length) return;
      while (shown <= place) showMore();
      if (current >= 0) list.children[current].setAttribute("aria-selected", "false");
      current = place;
      const node = list.children[place];
      node.setAttribute("aria-selected", "true");
      list.setAttribute("aria-activedescendant", node.id);
      keepInView(node);
      const row = rows[place];
      pane.replaceChildren(...detail(row));
      if (hash) history.replaceState(null, "", address(row));
      if (scroll) root.scrollIntoView({ block: "start" });
    }

    function keepInView(node) {
      const [box, row] = [list.getBoundingClientRect(), node.getBoundingClientRect()];
      if (row.top < box.top) list.scrollTop -= box.top - row.top;
      else if (row.bottom > box.bottom) list.scrollTop += row.bottom - box.bottom;
    }

    function address(row) {
      const model = row.model >= 0 ? `/${encodeURIComponent(models[row.model])}` : "";
      return `#${encodeURIComponent(samples[row.index].id)}${model}`;
    }

    function isInView() {
      const box = root.getBoundingClientRect();
      return box.top < window.innerHeight && box.bottom > 0;
    }

    function steps() {
      const step = (label, by, name) => {
        const button = make("button", { type: "button", "aria-label": name }, label);
        button.addEventListener("click", () => open(current + by));
        return button;
      };
      return make("span", { class: "steps" }, step("←", -1, _("previous sample")), step("→", 1, _("next sample")));
    }

    function answerColumn(answer, model, sample, beside) {
      const title = make("h4", {}, _("Prediction of {model}", { model: models[model] }));
      if (!answer) return make("div", {}, title, make("p", { class: "small" }, _("This model has no prediction here.")));
      const kinds = answer.errors.map((kind) => errors[kind]).join(_(", "));
      const said = { outcome: OUTCOME_WORDS[answer.outcome], score: answer.score.toFixed(2), kinds };
      const words = kinds ? _("{outcome}, facts F1 {score} ({kinds})", said) : _("{outcome}, facts F1 {score}", said);
      const about = `${OUTCOME_SIGNS[answer.outcome]} ${words}`;
      // The label's own column tells what the first model missing; the other model's are listed here.
      const missing = beside ? goldOf(sample, answer).filter((fact) => fact[2] === "missing") : [];
      return make("div", {}, title, make("p", { class: "small" }, about),
        factList([...answer.facts, ...missing], _("It predicts no fact.")), raw(answer.text, OUTCOMES[answer.outcome] === "unparseable"));
    }

    function goldOf(sample, answer) {
      return sample.facts.map(([parts, spans, kind, note], i) => [parts, spans, ...(answer ? answer.gold[i] : [kind, note])]);
    }

    function raw(text, open) {
      return make("details", { open: open ? "" : null }, make("summary", {}, _("as written")), make("pre", {}, text || _("(empty)")));
    }

    function detail(row) {
      const sample = samples[row.index];
      const other = models.indexOf(field("other"));
      const answer = sample.answers[row.model];
      const gold = goldOf(sample, answer);
      const spurious = answer ? answer.facts.filter((fact) => fact[2] === "spurious") : [];
      const marks = marksOf([...gold, ...spurious]);
      const about = [tasks[sample.task], sample.language, row.model >= 0 ? models[row.model] : null].filter(Boolean).join(" · ");
      const columns = make("div", { class: "columns" }, make("div", {}, make("h4", {}, root.dataset.heading),
        factList(gold, _("No fact.")), sample.gold ? raw(sample.gold) : null));
      if (row.model >= 0) columns.append(answerColumn(answer, row.model, sample, false));
      if (other >= 0 && other !== row.model) columns.append(answerColumn(sample.answers[other], other, sample, true));
      const text = highlighted(texts[sample.article], marks);
      text.lang = sample.language;
      columns.lang = sample.language;
      const instruction = texts[sample.instruction];
      const left = make("div", {}, ...(instruction ? [make("h4", {}, _("Instruction")),
        make("p", { class: "prose instruction", lang: sample.language, tabindex: "0" }, instruction)] : []),
      ...(texts[sample.article] ? [make("h4", {}, _("Article")), answer ? legend() : null, text]
        : [make("p", { class: "small" }, _("These predictions came without their articles."))]));
      return [
        make("h3", {}, make("a", { href: address(row) }, sample.id), make("span", { class: "about" }, about), steps()),
        make("div", { class: "sides" }, left, columns),
      ];
    }

    function legend() {
      const item = (kind) => make("span", {}, make("mark", { class: kind }, `${SIGNS[kind]} ${WORDS[kind]}`));
      return make("p", { class: "legend" }, item("matched"), item("missing"), item("spurious"));
    }

    function fromAddress() {
      const [id, model] = location.hash.slice(1).split("/").map(decoded);
      if (!byId.has(id)) return false;
      const wanted = { index: byId.get(id), model: model ? models.indexOf(model) : undefined };
      let place = rows.findIndex((row) => same(row, wanted));
      if (place < 0) {
        form.reset();
        rows = select();
        refresh(wanted);
        place = rows.findIndex((row) => same(row, wanted));
      }
      open(place, { hash: false, scroll: true });
      return true;
    }

    function decoded(text) {
      try {
        return decodeURIComponent(text);
      } catch (error) {
        return text;
      }
    }

    const PAGE = 10;
    const MOVES = { ArrowDown: 1, ArrowUp: -1, PageDown: PAGE, PageUp: -PAGE, Home: -Infinity, End: Infinity };
    list.addEventListener("keydown", (event) => {
      if (!(event.key in MOVES) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      open(Math.min(rows.length - 1, Math.max(0, current + MOVES[event.key])));
    });
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest("input, select, textarea, [role=region]")) return;
      if (event.key === "/") {
        event.preventDefault();
        form.elements.text.focus();
      } else if ((event.key === "ArrowRight" || event.key === "ArrowLeft") && isInView()) {
        event.preventDefault();
        open(current + (event.key === "ArrowRight" ? 1 : -1));
      }
    });
    list.addEventListener("click", (event) => {
      const node = event.target.closest("li");
      if (node) open([...list.children].indexOf(node));
    });
    list.addEventListener("scroll", () => {
      if (shown < rows.length && list.scrollTop + list.clientHeight > list.scrollHeight - 400) showMore();
    });
    form.addEventListener("input", (event) => {
      refresh(event.target.name !== "sort" && current >= 0 ? rows[current] : null);
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    window.addEventListener("hashchange", fromAddress);
    refresh(null);
    fromAddress();
  }

  themeButton();
  document.querySelectorAll(".browser").forEach(browser);
})();

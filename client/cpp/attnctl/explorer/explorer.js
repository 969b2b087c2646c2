"use strict";
// Shows the weights of #data: one head (or the mean of all) and one query at a
// time. The state is in the address too, as #head:query, so that a view can be
// kept as a link. Text goes into the page by textContent alone, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);
const rows = data.queries.length;
const columns = data.keys.length;
const STRONGEST = 10;
const MAX_CHIPS = 2000;  // Beyond, a browser is slow to lay them out.
const byId = (id) => document.getElementById(id);

// 16-bit little-endian steps in base64.
function unpack(text) {
  const bytes = atob(text);
  const steps = new Uint16Array(bytes.length / 2);
  for (let i = 0; i < steps.length; ++i) {
    steps[i] = bytes.charCodeAt(2 * i) | (bytes.charCodeAt(2 * i + 1) << 8);
  }
  return steps;
}
const steps = unpack(data.weights);

// head null: the mean of all. query: what is chosen; shown: what is pointed at.
const state = {head: data.head, query: data.query, shown: data.query};

const headName = (head) => head === null ? "mean" : String(head);
const percent = (weight) => (100 * weight).toFixed(1);
// A token of blanks alone would be invisible.
const visible = (name) => name.trim() === "" ? JSON.stringify(name) : name;

// The weights of one query, [columns], each of 1.
function rowOf(head, query) {
  const heads = head === null ? [...Array(data.heads).keys()] : [head];
  const row = new Float64Array(columns);
  for (const h of heads) {
    const begin = (h * rows + query) * columns;
    for (let j = 0; j < columns; ++j) {
      row[j] += steps[begin + j] / data.steps / heads.length;
    }
  }
  return row;
}

// Math.max(...row) would put each weight on the stack.
const largestOf = (row) => row.reduce((a, b) => Math.max(a, b), 0);

function strongestOf(row, count) {
  return [...row.keys()].sort((a, b) => row[b] - row[a] || a - b).slice(0, count);
}

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function barCell(weight) {
  const cell = element("td", "", {"aria-hidden": "true"});
  const bar = element("span", "", {class: "bar"});
  bar.style.width = `${100 * weight}%`;
  cell.append(bar);
  return cell;
}

function showStrongest(row) {
  const best = strongestOf(row, STRONGEST).filter((j) => row[j] > 0);
  byId("strongest").replaceChildren(...best.map((j) => {
    const line = element("tr", "");
    line.append(element("td", visible(data.keys[j])), element("td", percent(row[j])), barCell(row[j]));
    return line;
  }));
  const first = best.slice(0, 3).map((j) => `${visible(data.keys[j])} ${percent(row[j])} %`);
  byId("summary").textContent = `${visible(data.queries[state.shown])} attends to ` +
      (first.length > 0 ? first.join(", ") : "no key");
}

function showKeys(row) {
  const largest = largestOf(row);
  [...byId("keys").children].forEach((chip, j) => {
    const share = largest > 0 ? row[j] / largest : 0;
    chip.style.backgroundColor = `rgba(var(--heat), ${share.toFixed(3)})`;
    chip.classList.toggle("strongest", largest > 0 && row[j] === largest);
    chip.title = `${percent(row[j])} %`;
    chip.setAttribute("aria-label", `${visible(data.keys[j])}, ${percent(row[j])} percent`);
  });
  byId("legend").textContent = `Full colour is ${percent(largest)} %, no colour 0.`;
}

function showByHead() {
  const heads = [null, ...Array(data.heads).keys()];
  byId("by-head").replaceChildren(...heads.map((head) => {
    const row = rowOf(head, state.shown);
    const [best] = strongestOf(row, 1);
    const line = element("tr", "");
    line.append(element("td", headName(head)),
                element("td", row[best] > 0 ? visible(data.keys[best]) : "none"),
                element("td", percent(row[best])), barCell(row[best]));
    return line;
  }));
}

function showQueries() {
  [...byId("queries").children].forEach((chip, i) => {
    chip.setAttribute("aria-selected", String(i === state.shown));
    chip.tabIndex = i === state.query ? 0 : -1;  // One stop for the tab key.
  });
  byId("map-row").style.top = `${100 * state.shown / rows}%`;
}

// One pixel a weight, enlarged by CSS.
function showMap() {
  const canvas = byId("map");
  const context = canvas.getContext("2d");
  const heat = getComputedStyle(document.documentElement).getPropertyValue("--heat");
  const [red, green, blue] = heat.split(",").map(Number);
  const image = context.createImageData(columns, rows);
  for (let i = 0; i < rows; ++i) {
    const row = rowOf(state.head, i);
    const largest = largestOf(row);
    for (let j = 0; j < columns; ++j) {
      const alpha = largest > 0 ? 255 * row[j] / largest : 0;
      image.data.set([red, green, blue, alpha], 4 * (i * columns + j));
    }
  }
  context.putImageData(image, 0, 0);
  canvas.setAttribute("aria-label", `Weights of ${rows} queries and ${columns} keys in ` +
      (state.head === null ? "the mean of all heads" : `head ${state.head}`));
}

function showRow() {
  const row = rowOf(state.head, state.shown);
  showQueries();
  showKeys(row);
  showStrongest(row);
  showByHead();
}

function remember() {
  history.replaceState(null, "", `#${headName(state.head)}:${state.query}`);
}

function chooseHead(head) {
  state.head = head;
  byId("heads").querySelectorAll("input")[head === null ? 0 : head + 1].checked = true;
  showRow();
  showMap();
  remember();
}

function chooseQuery(query) {
  state.query = state.shown = Math.min(Math.max(query, 0), rows - 1);
  showRow();
  remember();
}

// Shows a query as long as it is pointed at; null: the chosen one again.
function point(query) {
  state.shown = query === null ? state.query : query;
  showRow();
}

function moveFocus(query) {
  chooseQuery(query);
  byId("queries").children[state.query]?.focus();
}

function onQueryKey(event) {
  const turn = (by) => {
    const place = state.head === null ? 0 : state.head + 1;
    const next = (place + by + data.heads + 1) % (data.heads + 1);
    chooseHead(next === 0 ? null : next - 1);
  };
  const moves = {
    ArrowLeft: () => moveFocus(state.query - 1),
    ArrowRight: () => moveFocus(state.query + 1),
    Home: () => moveFocus(0),
    End: () => moveFocus(rows - 1),
    ArrowUp: () => turn(-1),
    ArrowDown: () => turn(1),
  };
  if (moves[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    moves[event.key]();
  }
}

function makeHeads() {
  for (const head of [null, ...Array(data.heads).keys()]) {
    const label = element("label", "");
    const input = element("input", "", {
      type: "radio", name: "head",
      "aria-label": head === null ? "mean of all heads" : `head ${head}`,
    });
    input.addEventListener("change", () => chooseHead(head));
    label.append(input, element("span", headName(head)));
    byId("heads").append(label);
  }
}

function makeTokens() {
  const queries = byId("queries");
  for (const name of data.queries.slice(0, MAX_CHIPS)) {
    queries.append(element("span", visible(name), {class: "token", role: "option"}));
  }
  for (const name of data.keys.slice(0, MAX_CHIPS)) {
    byId("keys").append(element("span", visible(name), {class: "token", role: "listitem"}));
  }
  const at = (event) => [...queries.children].indexOf(event.target.closest("[role=option]"));
  queries.addEventListener("click", (event) => at(event) >= 0 && moveFocus(at(event)));
  queries.addEventListener("focusin", (event) => {
    if (at(event) >= 0 && at(event) !== state.query) chooseQuery(at(event));
  });
  queries.addEventListener("pointerover", (event) => {
    if (event.pointerType === "mouse" && at(event) >= 0) point(at(event));
  });
  queries.addEventListener("pointerleave", () => point(null));
  queries.addEventListener("keydown", onQueryKey);
}

function makeMap() {
  const canvas = byId("map");
  canvas.width = columns;
  canvas.height = rows;
  const scale = Math.max(1, Math.floor(320 / Math.max(columns, rows)));
  canvas.style.width = `${columns * scale}px`;
  canvas.style.aspectRatio = `${columns} / ${rows}`;
  byId("map-row").style.height = `${100 / rows}%`;
  const rowAt = (event) => Math.min(rows - 1,
      Math.max(0, Math.floor(event.offsetY / canvas.clientHeight * rows)));
  canvas.addEventListener("click", (event) => chooseQuery(rowAt(event)));
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse") point(rowAt(event));
  });
  canvas.addEventListener("pointerleave", () => point(null));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showMap);
}

// "#4:5" or "#mean:5"; what does not fit is not followed.
function followAddress() {
  const [, head, query] = /^#(mean|\d+):(\d+)$/.exec(location.hash) || [];
  if (query === undefined || Number(query) >= rows) return;
  if (head !== "mean" && Number(head) >= data.heads) return;
  state.head = head === "mean" ? null : Number(head);
  state.query = state.shown = Number(query);
}

byId("facts").textContent = `${data.heads} heads, ${rows} queries, ${columns} keys; weights in ` +
    `steps of 1/${data.steps}` + (Math.max(rows, columns) > MAX_CHIPS ?
    `; the first ${MAX_CHIPS} tokens have buttons, the map shows all` : "");
makeHeads();
makeTokens();
makeMap();
followAddress();
chooseHead(state.head);

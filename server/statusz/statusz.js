"use strict";
// Asks for /statusz?format=json once a second, keeps the tables up to date and
// draws the last two minutes. Counters and histograms count since the start of
// the server, so that rates and percentiles come from the difference of two
// answers; a missed answer loses resolution and no event.

const INTERVAL_MS = 1000;
const KEPT = 121;    // Answers: two minutes.
const SHORTEST = 30; // Answers that the width stands for at least.
const WINDOW = 5;    // Answers that a rate or a percentile looks back.
const WIDTH = 300;
const HEIGHT = 80;

const answers = [];  // The newest last.
const byId = (id) => document.getElementById(id);

// What a unit's numbers look like; as the server writes them.
const SHOW = {
  count: (value) => String(Math.round(value)),
  bytes: (value) => `${(value / 2 ** 20).toFixed(1)} MiB`,
  seconds: (value) => `${(1e3 * value).toFixed(3)} ms`,
  uptime: (value) => `${value.toFixed(0)} s`,
  truth: (value) => value ? "yes" : "no",
  rate: (value) => `${value.toFixed(value < 10 ? 1 : 0)}/s`,
  size: (value) => value.toFixed(1),
  bytesRate: (value) => `${(value / 2 ** 20).toFixed(1)} MiB/s`,
};
const show = (value, unit) =>
    value === null || value === undefined || Number.isNaN(value) ? "none" : SHOW[unit](value);

const elapsed = (now, before) => now.uptime_seconds - before.uptime_seconds;
const rate = (key) => (now, before) => (now[key] - before[key]) / elapsed(now, before);
const sumRate = (name) => (now, before) =>
    (now.histograms[name].sum - before.histograms[name].sum) / elapsed(now, before);
const level = (key) => (now) => now[key];

// The mean of what was observed in between; NaN where nothing was.
const mean = (name) => (now, before) => {
  const [late, early] = [now.histograms[name], before.histograms[name]];
  return (late.sum - early.sum) / (late.counts.at(-1) - early.counts.at(-1) || NaN);
};

// The same percentile; interpolated within its bucket, as Prometheus does.
const percentile = (name, fraction) => (now, before) => {
  const {bounds, counts} = now.histograms[name];
  const since = counts.map((count, i) => count - before.histograms[name].counts[i]);
  const total = since.at(-1);
  if (total === 0) return NaN;
  const bucket = since.findIndex((upTo) => upTo >= fraction * total);
  if (bucket >= bounds.length) return bounds.at(-1);
  const [low, below] = bucket === 0 ? [0, 0] : [bounds[bucket - 1], since[bucket - 1]];
  return low + (bounds[bucket] - low) * (fraction * total - below) / (since[bucket] - below);
};

const CHARTS = [
  {title: "Tasks", unit: "rate",
   lines: {completed: rate("tasks_completed"), refused: rate("requests_refused")}},
  {title: "Query tokens", unit: "rate", lines: {tokens: sumRate("batch_tokens")}},
  {title: "Call latency", unit: "seconds",
   lines: {median: percentile("call_seconds", 0.5), p99: percentile("call_seconds", 0.99)}},
  {title: "Time in queue", unit: "seconds",
   lines: {median: percentile("queue_wait_seconds", 0.5), p99: percentile("queue_wait_seconds", 0.99)}},
  {title: "Compute", unit: "seconds",
   lines: {median: percentile("compute_seconds", 0.5), p99: percentile("compute_seconds", 0.99)}},
  {title: "Queue", unit: "count", lines: {waiting: level("queue_depth")}},
  {title: "Tasks in a batch", unit: "size", lines: {mean: mean("batch_size")}},
  {title: "Workers busy", unit: "count", lines: {busy: level("workers_busy"), all: level("workers")}},
  {title: "Tensor traffic", unit: "bytesRate",
   lines: {in: sumRate("request_bytes"), out: sumRate("response_bytes")}},
  {title: "Sessions", unit: "count", lines: {sessions: level("sessions")}},
  {title: "KV pages", unit: "bytes", lines: {used: level("kv_bytes"), shared: level("kv_shared_bytes")}},
  {title: "Memory", unit: "bytes", lines: {resident: level("resident_bytes"), pool: level("pool_bytes")}},
];

function svg(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function makeChart(chart) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  caption.textContent = chart.title;
  chart.top = document.createElement("span");
  chart.now = document.createElement("p");
  chart.picture = svg("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img"});
  chart.picture.append(svg("line", {class: "axis", x1: 0, x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1}));
  chart.pens = Object.keys(chart.lines).map((_, i) => svg("polyline", {class: `line${i}`}));
  chart.picture.append(...chart.pens);
  figure.append(caption, chart.top, chart.now, chart.picture);
  byId("charts").append(figure);
}

// One value for each answer but the first; NaN where there is none.
const history = (line) => answers.slice(1).map(
    (now, i) => line(now, answers[Math.max(0, i + 1 - WINDOW)]));

function points(values, top) {
  const step = WIDTH / Math.max(SHORTEST, values.length - 1);
  const begin = WIDTH - step * (values.length - 1);  // The newest at the right end.
  const places = values.map((value, i) => Number.isFinite(value) &&
      `${(begin + i * step).toFixed(1)},${(HEIGHT - 1 - (HEIGHT - 3) * value / top).toFixed(1)}`);
  return places.filter(Boolean).join(" ");
}

function draw(chart) {
  const names = Object.keys(chart.lines);
  const values = names.map((name) => history(chart.lines[name]));
  const top = Math.max(...values.flat().filter(Number.isFinite), 0);
  chart.pens.forEach((pen, i) => pen.setAttribute("points", points(values[i], top || 1)));
  const words = names.map((name, i) => `${name} ${show(values[i].at(-1), chart.unit)}`);
  chart.now.replaceChildren(...words.flatMap((text, i) => {
    const word = document.createElement("span");
    word.className = `name${i}`;
    word.textContent = text;
    return i === 0 ? [word] : [", ", word];
  }));
  chart.top.textContent = `max ${show(top, chart.unit)}`;
  chart.picture.setAttribute("aria-label", `${chart.title}: ${words.join(", ")}`);
}

function showTables(now) {
  for (const cell of document.querySelectorAll("td[data-unit]:not([data-unit=''])")) {
    cell.textContent = show(now[cell.id], cell.dataset.unit);
  }
}

function say(text, stale) {
  const state = byId("state");
  if (state.textContent !== text) state.textContent = text;
  state.classList.toggle("stale", stale);
}

function take(now) {
  const last = answers.at(-1);
  if (last && elapsed(now, last) <= 0) answers.length = 0;  // The server is another one.
  answers.push(now);
  if (answers.length > KEPT) answers.shift();
  showTables(now);
  CHARTS.forEach(draw);
  say(`Live: the last two minutes, rates and percentiles of the last ${WINDOW} seconds.`, false);
}

async function poll() {
  if (!document.hidden) {
    try {
      const reply = await fetch("statusz?format=json", {cache: "no-store"});
      if (!reply.ok) throw new Error(`HTTP ${reply.status}`);
      take(await reply.json());
    } catch (error) {
      say(`No answer (${error.message}); what is below is old. Trying again each second.`, true);
    }
  }
  setTimeout(poll, INTERVAL_MS);
}

CHARTS.forEach(makeChart);
poll();

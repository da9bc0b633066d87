// The status page of ccrelay: draws what /status/events sends, and gives the operator's orders.
// Whatever comes from there may have been named by anybody: it becomes text, never markup.
"use strict";

const $ = (id) => document.getElementById(id);
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const plain = new Intl.NumberFormat("en");
const WORDS = {
  ready: "ready", degraded: "degraded", half_open: "half open", open: "circuit open", no_key: "no usable key",
  draining: "draining", disabled: "disabled", cooling: "cooling down", full: "at its limit", waiting: "told to wait",
  exhausted: "exhausted", invalid: "invalid",
};
const KINDS = { requests: "requests", "input-tokens": "input tokens", "output-tokens": "output tokens", tokens: "tokens" };

let last = null;       // the status that is shown
let heard = 0;         // when it came, by this machine's clock
let source = null;     // the stream of events
let pause = 1000;      // until the next try to connect, in milliseconds
let standings = null;  // of the providers, to tell what has changed

// Build and change elements.

function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "title"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) put(element, name, value);
  element.append(...children);
  return element;
}

function put(element, name, value) {
  if (value === null || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

function text(element, value) {
  const words = String(value);
  if (element.textContent !== words) element.textContent = words;
  return element;
}

// Show one child for each item, in order; those that are there already are changed in place.
function each(parent, items, keyOf, build, update) {
  const there = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let child = there.get(key);
    there.delete(key);
    if (!child) {
      child = build(item);
      child.dataset.key = key;
    }
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
    update(child, item);
  }
  for (const child of there.values()) child.remove();
}

// Say things.

function seconds(amount) {
  if (amount < 1) return "under 1 s";
  if (amount < 90) return `${Math.round(amount)} s`;
  if (amount < 5400) return `${Math.round(amount / 60)} min`;
  return amount < 129600 ? `${Math.round(amount / 3600)} h` : `${Math.round(amount / 86400)} d`;
}
const ms = (amount) => (amount === null ? "–" : amount < 1000 ? `${Math.round(amount)} ms` : `${(amount / 1000).toFixed(1)} s`);
const money = (amount) => (amount === null ? "–" : `$${amount === 0 ? "0" : amount < 1 ? amount.toFixed(4) : amount.toFixed(2)}`);
const share = (part) => (part === null ? "–" : `${Math.round(part * 100)} %`);
const cut = (name) => (name.length > 64 ? `${name.slice(0, 60)}…` : name);
const until = (time) => (time === null ? "" : `for ${seconds(Math.max(time - last.now, 0))}`);

function pill(element, standing, words) {
  put(element, "data-standing", standing);
  text(element, words ?? WORDS[standing] ?? standing);
}

let saying = null;
function say(words) {
  text($("said"), words);
  clearTimeout(saying);
  saying = setTimeout(() => text($("said"), ""), 9000);
}

function wave(parent, values, what) {
  const shown = values.length > 1;
  const top = Math.max(...values, 1);
  const points = values.map((value, place) => `${(place * 100) / (values.length - 1)},${29 - (value / top) * 27}`);
  let svg = parent.querySelector("svg");
  if (!svg) {
    svg = make("svg", { class: "spark", viewBox: "0 0 100 30", preserveAspectRatio: "none", role: "img" },
      make("line", { x1: 0, x2: 100, y1: 29.5, y2: 29.5 }), make("path"));
    parent.append(svg, " ", make("span", { class: "quiet" }));
  }
  put(svg.querySelector("path"), "d", shown ? `M${points.join("L")}` : "M0,29");
  const newest = values.length ? ms(values[values.length - 1]) : "nothing yet";
  const words = values.length ? `last ${newest}, worst ${ms(top)} of ${values.length}` : newest;
  put(svg, "aria-label", `${what}: ${words}`);
  text(parent.querySelector("span"), words);
}

// Give orders.

async function order(action, asked, question) {
  if (question && !window.confirm(question)) return;
  const headers = { "content-type": "application/json" };
  const token = $("token").value;
  if (token) headers.authorization = `Bearer ${token}`;
  try {
    const answer = await fetch(`/admin/${action}`, { method: "POST", headers, body: JSON.stringify(asked) });
    const told = await answer.json();
    say(answer.ok ? told.done : `Not done: ${told.error.message}`);
    if (answer.status === 401) $("token").focus();
    return answer.ok;
  } catch (problem) {
    say(`Not done: the relay could not be asked (${problem.message}).`);
  }
}

function button(words, label, run, small) {
  const element = make("button", { type: "button", class: small ? "act small" : "act", "aria-label": label }, words);
  element.addEventListener("click", run);
  return element;
}

function disable(name) {
  const others = last.providers.filter((one) => one.enabled && one.name !== name);
  const question = others.length ? null : `${name} is the last provider that is enabled. Disable it, and serve nobody?`;
  order("disable", { provider: name }, question);
}

// Draw the parts.

function figures(list, pairs) {
  each(list, pairs, ([name]) => name, ([name]) => make("div", {}, make("dt", {}, name), make("dd")),
    (box, [, value]) => text(box.lastChild, value));
}

function overview(status) {
  const all = status.totals;
  const cached = all.cache_read_tokens + all.cache_write_tokens;
  const limit = status.in_flight.limit ? ` of ${plain.format(status.in_flight.limit)}` : "";
  const moves = status.affinity ? Object.values(status.affinity.moves).reduce((sum, one) => sum + one, 0) : 0;
  figures($("overview"), [
    ["In flight", plain.format(status.in_flight.now) + limit],
    ["Requests", plain.format(all.requests)],
    ["Failed", all.requests ? `${plain.format(all.failed)} (${share(all.failed / all.requests)})` : "0"],
    ["Tokens in, out", `${compact.format(all.input_tokens + cached)}, ${compact.format(all.output_tokens)}`],
    ["Read from cache", share(cached ? all.cache_read_tokens / cached : null)],
    ["Cost", money(all.cost_usd) + (all.unpriced ? ` + ${plain.format(all.unpriced)} unpriced` : "")],
    ["Conversations", status.affinity ? `${plain.format(status.affinity.conversations)}, ${plain.format(moves)} moved` : "not kept"],
    ["Strategy", status.strategy.name + (status.strategy.changed ? " (changed)" : "")],
    ["Repeats left", plain.format(status.retry_budget)],
    ["Loop lag", `${ms(status.lag_ms.last)}, worst ${ms(status.lag_ms.worst)}`],
  ]);
  wave($("wave"), status.ttfb_ms, "Time to first byte of the last requests");
}

function card(provider) {
  const name = provider.name;
  const element = make("article", { class: "card", "aria-label": `Provider ${name}` },
    make("header", {}, make("h3", {}, name), make("span", { class: "quiet" }), make("p", { class: "pill" })),
    make("p", { class: "quiet where" }), make("p", { class: "news" }),
    make("dl", { class: "facts" }), make("div", { class: "wave-of" }), make("ul", { class: "keys" }),
    make("div", { class: "buttons" },
      button("Enable", `Enable ${name}`, () => order("enable", { provider: name })),
      button("Disable", `Disable ${name}`, () => disable(name)),
      button("Drain", `Drain ${name}`, () => order("drain", { provider: name })),
      button("Reset circuit", `Reset the circuit of ${name}`, () => order("reset_breaker", { provider: name }))));
  element.querySelector(".keys").setAttribute("aria-label", `Keys of ${name}`);
  return element;
}

function news(provider) {
  const words = [];
  const circuit = provider.circuit;
  if (circuit && circuit.state === "open") words.push(`circuit open, tried again in ${seconds(Math.max(circuit.due - last.now, 0))}`);
  if (circuit && circuit.failures) words.push(`${circuit.failures} failures in a row`);
  for (const model of provider.models_out) words.push(`${model.model}: circuit ${WORDS[model.state] ?? model.state}`);
  if (provider.probe && provider.probe.reason) words.push(`probe: ${provider.probe.reason}`);
  if (provider.credential && provider.credential.problem) words.push(provider.credential.problem);
  if (provider.changed.length) words.push(`changed at run time: ${provider.changed.join(", ")}`);
  return words.join("; ");
}

function draw(element, provider) {
  const [kind, standing] = [element.querySelector("header .quiet"), element.querySelector("header .pill")];
  text(kind, provider.type);
  pill(standing, provider.standing);
  text(element.querySelector(".where"), provider.base_url);
  text(element.querySelector(".news"), news(provider));
  const probe = provider.probe;
  const credential = provider.credential;
  const pairs = [
    ["In flight", plain.format(provider.in_flight)],
    ["Attempts, failed", `${plain.format(provider.attempts)}, ${plain.format(provider.failed)}`],
    ["First byte", ms(provider.first_byte_ms)],
    ["Read from cache", share(provider.cache_read_share)],
    ["Cost", money(provider.cost_usd)],
    ["Conversations", plain.format(provider.conversations)],
    ["Priority, weight", `${provider.priority}, ${provider.weight}`],
    ["Last probe", probe ? `${probe.healthy ? "well" : "failed"} ${seconds(last.now - probe.at)} ago` : "none yet"],
  ];
  if (credential) {
    const good = credential.expires === null ? "no end" : `for ${seconds(Math.max(credential.expires - last.now, 0))}`;
    pairs.push(["Credential", credential.held ? good : "not held"]);
  }
  figures(element.querySelector(".facts"), pairs);
  wave(element.querySelector(".wave-of"), provider.ttfb_ms, `Time to first byte of ${provider.name}`);
  each(element.querySelector(".keys"), provider.keys, (key) => key.name, (key) => keyRow(provider.name, key), drawKey);
  const [enable, off, drain, reset] = element.querySelectorAll(".buttons button");
  enable.hidden = provider.enabled && !provider.draining;
  off.hidden = !provider.enabled;
  drain.hidden = !provider.enabled || provider.draining;
  reset.hidden = !provider.circuit || (provider.circuit.state === "closed" && !provider.models_out.length);
}

function keyRow(provider, key) {
  const name = key.name;
  const question = `Use the key ${name} of ${provider} no more?`;
  return make("li", {},
    make("div", { class: "key-head" }, make("strong", {}, name === "-" ? "needs no key" : name), make("span", { class: "pill" }),
      button("Reset", `Reset the key ${name} of ${provider}`, () => order("reset_key", { provider, name }), true),
      button("Remove", `Remove the key ${name} of ${provider}`, () => order("remove_key", { provider, name }, question), true)),
    make("div", { class: "quiet" }), make("div", { class: "bars" }));
}

function drawKey(row, key) {
  pill(row.querySelector(".pill"), key.standing, `${WORDS[key.standing] ?? key.standing} ${until(key.until)}`.trim());
  const words = [];
  if (key.changed) words.push("added at run time");
  if (key.in_flight) words.push(`${key.in_flight} in flight`);
  for (const wait of key.waits) words.push(`${wait.model ?? "all models"}: ${wait.why} ${until(wait.until)}`);
  for (const told of key.learned) {
    if (told.remaining !== null) words.push(`${told.models}: ${compact.format(told.remaining)} ${KINDS[told.kind]} left`);
  }
  text(row.querySelector(".quiet"), words.join("; "));
  each(row.querySelector(".bars"), key.usage, (one) => one.kind, meter, (bar, one) => drawMeter(bar, one, key.name));
  const [reset, remove] = row.querySelectorAll("button");
  reset.hidden = key.standing === "ready";
  remove.hidden = key.name === "-";
}

function meter(one) {
  return make("div", { class: "meter" }, make("span", {}, KINDS[one.kind] ?? one.kind),
    make("div", { class: "track" }, make("div", { class: "fill" })), make("span"));
}

function drawMeter(bar, one, key) {
  const [, track, figure] = bar.children;
  const part = one.limit ? Math.min(one.used / one.limit, 1) : 0;
  const limit = one.limit ? compact.format(one.limit) : "no limit";
  text(figure, `${compact.format(one.used)} / ${limit}`);
  track.firstChild.style.setProperty("--share", part);
  put(bar, "data-level", part >= 1 ? "full" : part >= 0.8 ? "high" : "fine");
  put(track, "role", one.limit ? "meter" : null);
  put(track, "aria-label", one.limit ? `${KINDS[one.kind] ?? one.kind} of ${key} in the last minute` : null);
  put(track, "aria-valuemin", one.limit ? 0 : null);
  put(track, "aria-valuemax", one.limit || null);
  put(track, "aria-valuenow", one.limit ? Math.min(one.used, one.limit) : null);
}

function requestRow(one) {
  const show = button("", `Attempts of the request ${one.id}`, () => toggle(one.id, show), true);
  put(show, "aria-expanded", false);
  const answered = one.answered === null ? null : one.attempts[one.answered];
  const by = answered ? `${answered.provider} / ${answered.key}` : "–";
  const ended = one.ended === "complete" ? "" : ` ${one.ended}`;
  const tokens = (one.input_tokens ?? 0) + (one.cache_read_tokens ?? 0) + (one.cache_write_tokens ?? 0);
  const row = make("tr", { class: one.status >= 400 || !one.status ? "failed" : "" },
    make("td"), make("td", { class: "wide" }, cut(one.model || `${one.method} ${one.path}`)), make("td", { class: "wide" }, by),
    make("td", { class: "wide" }, `${one.status || "none"}${ended}`), make("td", { class: "n" }, ms(one.ttfb_ms)),
    make("td", { class: "n" }, ms(one.duration_ms)),
    make("td", { class: "n" }, one.output_tokens === null ? "–" : `${compact.format(tokens)}, ${compact.format(one.output_tokens)}`),
    make("td", { class: "n" }, money(one.cost_usd)), make("td", { class: "wide" }, one.client || "–"), make("td", {}, show));
  show.textContent = one.attempts.length ? `${one.attempts.length}` : "0";
  return row;
}

const opened = new Set();
function toggle(id, show) {
  if (!opened.delete(id)) opened.add(id);
  put(show, "aria-expanded", opened.has(id));
  recent(last);
}

function detail(one) {
  const tries = one.attempts.map((attempt) => {
    const words = [`${attempt.provider} / ${attempt.key} as ${attempt.model}: ${attempt.verdict}`];
    if (attempt.status) words.push(`status ${attempt.status}`);
    if (attempt.reason) words.push(attempt.reason);
    if (attempt.repeat) words.push("once more");
    if (attempt.first_byte_ms !== null) words.push(`head after ${ms(attempt.first_byte_ms)}`);
    words.push(`${ms(attempt.duration_ms)} in all`);
    if (attempt.dropped.length) words.push(`sent without ${attempt.dropped.join(", ")}`);
    if (attempt.mended.length) words.push(`put right: ${attempt.mended.join(", ")}`);
    return make("li", {}, words.join(", "));
  });
  const session = one.session ? `, session ${one.session}` : "";
  return make("tr", { class: "detail" }, make("td", { colspan: 10 },
    make("p", { class: "quiet" }, `${one.id}${session}`), tries.length ? make("ol", {}, ...tries) : "Nobody was asked."));
}

function recent(status) {
  const rows = status.recent.flatMap((one) => (opened.has(one.id) ? [[one, false], [one, true]] : [[one, false]]));
  each($("recent-rows"), rows, ([one, more]) => (more ? `${one.id} more` : one.id),
    ([one, more]) => (more ? detail(one) : requestRow(one)),
    (row, [one, more]) => { if (!more) text(row.firstChild, `${seconds(Math.max(status.now - one.at, 0))} ago`); });
  $("recent").hidden = !rows.length;
  $("no-recent").hidden = rows.length > 0;
}

function spent(status) {
  const tables = [["By model", "Model", status.models], ["By client", "Client", status.clients], ["By session", "Session", status.sessions]];
  each($("spent"), tables, ([title]) => title, ([title, head]) => make("div", {}, make("table", {},
    make("caption", {}, title), make("thead", {}, make("tr", {}, ...[head, "Requests", "In", "Out", "Cached", "Cost"].map((name, place) =>
      make("th", { scope: "col", class: place ? "n" : "" }, name)))), make("tbody"))),
  (box, [, , rows]) => {
    box.hidden = !rows.length;
    each(box.querySelector("tbody"), rows, (one) => one.name,
      (one) => make("tr", {}, make("th", { scope: "row", class: "wide" }, cut(one.name)), ...Array.from({ length: 5 }, () => make("td", { class: "n" }))),
      (row, one) => {
        const values = [plain.format(one.requests), compact.format(one.input_tokens), compact.format(one.output_tokens),
          compact.format(one.cache_read_tokens + one.cache_write_tokens), money(one.cost_usd)];
        values.forEach((value, place) => text(row.children[place + 1], value));
      });
  });
}

function acts(status) {
  const may = status.admin === "token";
  $("acts-forms").hidden = !may;
  text($("acts-how"), may ? "With the token of admin.token, what is above can be changed until the relay ends or the change is taken back."
    : status.admin === "socket" ? "Changes are made over the unix socket (admin.socket), with ccrelay on the command line. Set admin.token to make them here."
      : "Nobody may change anything: set admin.token to do it here, or admin.socket to do it on the command line.");
  document.body.classList.toggle("watching", !may);
  const choose = (element, names, chosen) => {
    each(element, names, (name) => name, (name) => make("option", { value: name }, name), () => {});
    if (chosen && document.activeElement !== element) element.value = chosen;
  };
  choose($("strategy"), status.strategy.choices, status.strategy.name);
  choose($("key-provider"), status.providers.map((one) => one.name));
}

function changes(status) {
  $("changes").hidden = !status.changes.length;
  each($("change-list"), status.changes, (words) => words, (words) => make("li", {}, words), () => {});
}

function tell(status) {
  const now = new Map(status.providers.map((one) => [one.name, one.standing]));
  if (standings) {
    const news = [...now].filter(([name, standing]) => standings.has(name) && standings.get(name) !== standing);
    if (news.length) say(news.map(([name, standing]) => `${name}: ${WORDS[standing] ?? standing}`).join("; "));
  }
  standings = now;
}

function show(status) {
  last = status;
  text($("version"), status.ccrelay);
  pill($("ready"), status.ready === null ? "ready" : status.draining ? "draining" : "open", status.ready === null ? "ready" : `not ready: ${status.ready}`);
  text($("source"), `${status.source}, in use for ${seconds(status.now - status.loaded)}; up for ${seconds(status.now - status.started)}`);
  document.title = status.ready === null ? "ccrelay" : "not ready: ccrelay";
  overview(status);
  changes(status);
  $("no-providers").hidden = status.providers.length > 0;
  each($("provider-list"), status.providers, (one) => one.name, card, draw);
  recent(status);
  spent(status);
  acts(status);
  tell(status);
}

// Listen.

function connect() {
  source = new EventSource("/status/events");
  source.addEventListener("status", (event) => {
    heard = Date.now();
    pause = 1000;
    pill($("live"), "ready", "live");
    document.body.classList.remove("stale");
    show(JSON.parse(event.data));
  });
  source.addEventListener("error", () => {
    lost();
    source.close();
    source = null;
    setTimeout(() => { if (!source && !document.hidden) connect(); }, pause);
    pause = Math.min(pause * 2, 15000);
  });
}

function lost() {
  const words = heard ? `no news for ${seconds((Date.now() - heard) / 1000)}, trying again` : "not connected, trying again";
  pill($("live"), "lost", words);
  document.body.classList.add("stale");
}

setInterval(() => { if (heard && Date.now() - heard > 4000) lost(); }, 1000);
document.addEventListener("visibilitychange", () => {
  if (document.hidden && source) { source.close(); source = null; } else if (!document.hidden && !source) connect();
});

$("token").value = sessionStorage.getItem("token") ?? "";
$("token").addEventListener("change", () => sessionStorage.setItem("token", $("token").value));
$("token-form").addEventListener("submit", (event) => event.preventDefault());
$("set-strategy").addEventListener("click", () => order("strategy", { strategy: $("strategy").value }));
$("reload").addEventListener("click", () => order("reload", {}));
$("revert").addEventListener("click", () => order("revert", {}));
$("key-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const asked = { provider: $("key-provider").value, key: $("key-secret").value, rpm_limit: Number($("key-rpm").value) };
  if ($("key-name").value) asked.name = $("key-name").value;
  if (await order("add_key", asked)) event.target.reset();
});
connect();

// The desk's script: live refresh, keys, copying, actions. Every page works without it, apart from these.

const root = document.documentElement;
const main = document.getElementById("main");
const live = document.getElementById("live");
const lost = document.getElementById("lost");
const help = document.getElementById("help");
const find = document.getElementById("find");

function keep(name, value) {
  try { localStorage.setItem(name, value); } catch { /* a browser that keeps nothing forgets */ }
}

function kept(name) {
  try { return localStorage.getItem(name); } catch { return null; }
}

for (const id of ["live", "theme", "keys"]) document.getElementById(id).hidden = false;

// Theme

function toggleTheme() {
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  keep("theme", root.dataset.theme);
}

document.getElementById("theme").addEventListener("click", toggleTheme);

// Live: the server tells a version; what is shown becomes what the server would show now, in place. Nodes that did
// not change stay the same nodes, so focus, selection, scroll positions and open details stay with them.

const RETRY_MS = 3000;
const LEAST_MS = 1000;
const SHARE = 5; // a page that takes long to make is asked for less often
const OWN = new Set(["open", "value", "checked", "aria-current"]); // what a user changes, not the server

let seen = document.body.dataset.version;
let told = seen;
let isPaused = kept("live") === "paused";
let stream = null;
let isFetching = false;
let lastAt = performance.now();
let waitMs = LEAST_MS;

function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.id || node.dataset.key || "" : "";
}

function isSameKind(before, after) {
  return before.nodeType === after.nodeType && before.nodeName === after.nodeName && keyOf(before) === keyOf(after);
}

function morph(before, after) {
  if (before.isEqualNode(after)) return;
  if (before.nodeType !== Node.ELEMENT_NODE) {
    before.nodeValue = after.nodeValue;
    return;
  }
  if (before.matches("form[data-action] output")) return; // what an action answered stays to be read
  const isControl = before.matches("input, select, textarea, details, dialog, [data-span]");
  for (const { name, value } of [...after.attributes]) {
    if (!(isControl && OWN.has(name)) && before.getAttribute(name) !== value) before.setAttribute(name, value);
  }
  for (const { name } of [...before.attributes]) {
    if (!after.hasAttribute(name) && !(isControl && OWN.has(name))) before.removeAttribute(name);
  }
  morphChildren(before, after);
}

function morphChildren(before, after) {
  const byKey = new Map();
  for (const child of before.children) if (keyOf(child)) byKey.set(keyOf(child), child);
  let place = before.firstChild;
  for (const wanted of [...after.childNodes]) {
    const known = byKey.get(keyOf(wanted));
    if (known && known !== place && isSameKind(known, wanted)) before.insertBefore(known, place);
    const found = known && isSameKind(known, wanted) ? known : place;
    if (found && isSameKind(found, wanted)) {
      if (found === place) place = place.nextSibling;
      morph(found, wanted);
    } else {
      before.insertBefore(document.importNode(wanted, true), place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function isReading() {
  const selection = getSelection();
  return selection && !selection.isCollapsed && main.contains(selection.anchorNode);
}

async function refresh() {
  if (isFetching) return;
  isFetching = true;
  const wanted = told;
  const startedAt = performance.now();
  try {
    const answer = await fetch(location.pathname + location.search, { headers: { accept: "text/html" } });
    if (answer.ok && !isReading()) {
      const made = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
      if (made) {
        morphChildren(main, made);
        main.dispatchEvent(new Event("refreshed"));
      }
      seen = wanted;
    }
  } catch { /* the stream tells when the desk is gone */ } finally {
    isFetching = false;
    lastAt = performance.now();
    waitMs = Math.max(LEAST_MS, (lastAt - startedAt) * SHARE);
  }
}

function tell(state) {
  live.dataset.state = state;
  live.setAttribute("aria-pressed", String(!isPaused));
  live.querySelector(".word").textContent = state;
  lost.hidden = state !== "lost";
}

function follow() {
  if (document.hidden || (stream && stream.readyState !== EventSource.CLOSED)) return;
  stream = new EventSource("/live");
  stream.onopen = () => tell(isPaused ? "paused" : "live");
  stream.onmessage = (event) => {
    told = event.data;
    live.classList.remove("beat");
    void live.offsetWidth; // starts the animation anew
    live.classList.add("beat");
  };
  stream.onerror = () => {
    if (stream.readyState === EventSource.CLOSED && document.hidden) return;
    stream.close();
    tell("lost");
    setTimeout(follow, RETRY_MS);
  };
}

setInterval(() => {
  const isDue = told !== seen && performance.now() - lastAt >= waitMs;
  if (isDue && !isPaused && !document.hidden && !isReading() && !help.open) refresh();
}, 250);

function togglePause() {
  isPaused = !isPaused;
  keep("live", isPaused ? "paused" : "live");
  if (live.dataset.state !== "lost") tell(isPaused ? "paused" : "live");
}

live.addEventListener("click", togglePause);
tell(isPaused ? "paused" : "live");
follow();
// A browser has six connections to a host: pages that nobody looks at leave theirs to others.
document.addEventListener("visibilitychange", () => { if (document.hidden) stream?.close(); else follow(); });
addEventListener("pagehide", () => stream?.close());
addEventListener("pageshow", (event) => { if (event.persisted) follow(); });

// Keys

const CHORD_MS = 1500;
let chordAt = -Infinity;

function rows() {
  const links = [];
  for (const row of main.querySelectorAll("table.rows tbody tr, [data-row]")) {
    const link = row.matches("a[href]") ? row : row.querySelector("a[href]");
    if (link && link.checkVisibility()) links.push(link);
  }
  return links;
}

function rowOf(node) {
  return node.closest("table.rows tbody tr, [data-row]");
}

function step(by) {
  const links = rows();
  if (!links.length) return;
  const row = rowOf(document.activeElement);
  const at = row ? links.findIndex((link) => rowOf(link) === row) : -1;
  const to = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + by, 0), links.length - 1);
  links[to].focus({ preventScroll: true });
  (rowOf(links[to]) || links[to]).scrollIntoView({ block: "nearest" });
}

function isTyping(target) {
  return target.matches("input:not([type=checkbox], [type=radio], [type=submit]), select, textarea, [contenteditable]");
}

const KEYS = {
  "/": () => { find.focus(); find.select(); },
  "?": () => help.showModal(),
  g: () => { chordAt = performance.now(); },
  j: () => step(1),
  k: () => step(-1),
  p: togglePause,
  t: toggleTheme,
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape") {
    const about = main.querySelector(".about:target");
    if (about && !help.open && !isTyping(event.target)) {
      const row = main.querySelector(`[data-span="${about.id.slice(5)}"] a`);
      location.hash = "#tree";
      row?.focus({ preventScroll: true });
      return;
    }
    for (const drop of document.querySelectorAll("details.drop[open]")) drop.open = false;
    if (document.activeElement !== document.body) document.activeElement.blur();
    return;
  }
  if (isTyping(event.target) || help.open) return;
  if (performance.now() - chordAt < CHORD_MS) {
    chordAt = -Infinity;
    const link = [...document.querySelectorAll("nav.menu a")].find((one) => one.dataset.key === event.key);
    if (link) {
      event.preventDefault();
      link.click();
      return;
    }
  }
  const isArrow = (event.key === "ArrowDown" || event.key === "ArrowUp") && rowOf(document.activeElement);
  const act = isArrow ? () => step(event.key === "ArrowDown" ? 1 : -1) : KEYS[event.key];
  if (act && (KEYS[event.key] || isArrow)) {
    event.preventDefault();
    act();
  }
});

document.getElementById("keys").addEventListener("click", () => help.showModal());
help.addEventListener("click", (event) => { if (event.target === help) help.close(); });
addEventListener("click", (event) => {
  for (const drop of document.querySelectorAll("details.drop[open]")) if (!drop.contains(event.target)) drop.open = false;
});

// Copying: <button data-copy="/path/of/a/document">, or data-copy-from="id of an element" for its text

async function copy(button) {
  const word = button.dataset.word || (button.dataset.word = button.textContent);
  try {
    const from = button.dataset.copyFrom;
    const text = from ? document.getElementById(from).textContent : await (await fetch(button.dataset.copy)).text();
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not copied";
  }
  setTimeout(() => { button.textContent = word; }, 1500);
}

// Actions: <form data-action="/api/…" data-confirm="Sure?"> … <output></output></form>; its fields are sent as JSON

function valueOf(field) {
  if (field.type === "checkbox") return field.checked;
  if (field.type === "number" || field.type === "range") return field.value === "" ? null : Number(field.value);
  return field.value;
}

async function act(form) {
  const output = form.querySelector("output");
  const told = {};
  for (const field of form.elements) {
    if (field.name && !field.disabled && !(field.type === "radio" && !field.checked)) told[field.name] = valueOf(field);
  }
  let text = "";
  let isBad = false;
  try {
    const answer = await fetch(form.dataset.action, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(told),
    });
    const said = await answer.json();
    isBad = !answer.ok;
    text = isBad ? said.error : said.message || "Done.";
  } catch {
    isBad = true;
    text = "The desk did not answer.";
  }
  if (output) {
    output.textContent = text;
    output.className = isBad ? "bad" : "ok";
  }
  if (!isBad) refresh();
}

main.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.action) return;
  event.preventDefault();
  if (!form.dataset.confirm || confirm(form.dataset.confirm)) act(form);
});

main.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy], [data-copy-from]");
  if (button) copy(button);
  const all = event.target.closest("[data-open-all]");
  if (all) {
    const isOpen = all.dataset.openAll === "true";
    for (const one of document.getElementById(all.getAttribute("aria-controls")).querySelectorAll("details")) one.open = isOpen;
  }
});

// Picking: of the checkboxes of a form with data-pick="2", at most two are checked; the first one gives way

main.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-pick]");
  if (!form || event.target.type !== "checkbox") return;
  const picked = [...form.elements].filter((one) => one.type === "checkbox" && one.checked && one !== event.target);
  const most = Number(form.dataset.pick) - (event.target.checked ? 1 : 0);
  for (const one of picked.slice(0, Math.max(picked.length - most, 0))) one.checked = false;
});

// A permalink into closed details opens them

function reveal() {
  const id = location.hash.slice(1);
  const target = id ? document.getElementById(id) : null;
  for (const row of main.querySelectorAll("[data-span]")) {
    if (id === `span-${row.dataset.span}`) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
  if (id.startsWith("span-") && !target) askFor(id.slice(5));
  if (!target) return;
  for (let at = target; at; at = at.parentElement?.closest("details")) if (at.matches("details")) at.open = true;
  if (!target.matches(".about")) target.scrollIntoView({ block: "nearest" });
}

// A span of a large trace that does not come with the page is asked for, once.
function askFor(span) {
  const query = new URLSearchParams(location.search);
  if (!main.querySelector("#tree") || query.get("selected") === span) return;
  query.set("selected", span);
  location.replace(`${location.pathname}?${query}#span-${span}`);
}

addEventListener("hashchange", reveal);
main.addEventListener("refreshed", reveal);
reveal();

"use strict";
// Last part of the script of /docs: loads /openapi.json, draws the reference, and makes the page usable: menu, filter,
// links to sections, buttons that copy.

// The gateway's URL as this browser reaches it. A URL that contains a user name and a password cannot be fetched; the
// browser sends them by itself.
const BASE = new URL(".", location.origin + location.pathname).href.replace(/\/$/, "");
const narrow = matchMedia("(max-width: 60rem)");

function draw(api) {
  const reference = new Reference(api);
  byId("version").textContent = api.info.version;
  byId("about").replaceChildren(...prose(api.info.description));
  for (const [name, routes] of reference.groups()) {
    byId("routes").append(reference.group(name, routes));
    byId("contents").append(make("h2", { class: "group" }, name), ...routes.map(([method, , operation]) =>
      make("a", { href: `#${operation.operationId}` }, make("span", { class: `method ${method}`, "aria-hidden": "true" }, method.toUpperCase()), " ", operation.summary)));
  }
  const events = new Events(reference);
  byId("routes").append(events.group());
  byId("contents").append(make("h2", { class: "group" }, "Webhook events"), ...events.links().map(([id, text]) => make("a", { href: `#${id}` }, text)));
  byId("contents").append(make("h2", { class: "group" }, "Errors"), make("a", { href: "#errors" }, "Error codes"));
  byId("catalogue").append(reference.errors());
  byId("errors").hidden = false;
  // In the header where there is room, else in the menu.
  const pages = [["/upload", "Upload page"], ["/dashboard", "Dashboard"], ["/openapi.json", "openapi.json"]].filter(([path]) => api.paths[path]);
  const links = () => pages.map(([path, name]) => make("a", { href: path.slice(1) }, name));
  byId("pages").replaceChildren(...links());
  byId("contents").append(make("div", { class: "pages" }, make("h2", { class: "group" }, "Pages"), links()));
  byId("state").remove();
}

// The menu: beside the page where there is room, else a panel that the button opens and Escape closes.
function showMenu(open) {
  byId("menu").setAttribute("aria-expanded", String(open));
  byId("side").classList.toggle("open", open);
  byId("main").inert = open;
  document.body.classList.toggle("covered", open);
  if (open) byId("side").scrollTop = 0;
}

function menuIsOpen() {
  return byId("side").classList.contains("open");
}

function onKey(event) {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
  if (event.key === "Escape" && menuIsOpen()) {
    showMenu(false);
    byId("menu").focus();
  } else if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    if (narrow.matches) showMenu(true);
    byId("filter").focus();
  }
}

// Shows the section that the address names, and moves the focus there, so that Tab continues in it.
function reveal() {
  const target = byId(decodeURIComponent(location.hash.slice(1)));
  if (menuIsOpen()) showMenu(false);
  if (!target || !byId("main").contains(target)) return;
  if (target.hidden || target.closest("[hidden]")) {
    byId("filter").value = "";
    filter();
  }
  target.focus({ preventScroll: true });
  target.scrollIntoView();
}

function matches(text) {
  const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  return words.every((word) => text.includes(word));
}

function filter() {
  const shown = { route: 0, event: 0, "error code": 0 };
  for (const section of document.querySelectorAll("section[data-words]")) {
    section.hidden = !matches(section.dataset.words);
    document.querySelector(`#contents a[href="#${CSS.escape(section.id)}"]`).hidden = section.hidden;
    shown[section.className] += section.hidden ? 0 : 1;
  }
  for (const group of document.querySelectorAll("section.group")) group.hidden = !group.querySelector("section[data-words]:not([hidden])");
  for (const row of document.querySelectorAll("#catalogue li")) {
    row.hidden = !matches(row.textContent.toLowerCase());
    shown["error code"] += row.hidden ? 0 : 1;
  }
  for (const title of document.querySelectorAll("#contents > h2")) {
    let link = title.nextElementSibling;
    while (link && link.tagName === "A" && link.hidden) link = link.nextElementSibling;
    title.hidden = !link || link.tagName !== "A";
  }
  const asked = Boolean(byId("filter").value.trim());
  const counts = Object.entries(shown).filter(([name, count]) => count || name !== "event").map(([name, count]) => `${count} ${name}${count === 1 ? "" : "s"}`);
  byId("found").textContent = asked ? counts.join(", ") : "";
}

// Marks the link to the section at the top of the window.
function watchSections() {
  const links = new Map([...document.querySelectorAll("#contents a[href^='#']")].map((link) => [link.hash.slice(1), link]));
  const mark = (id) => {
    for (const [name, link] of links) name === id ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
    if (!narrow.matches) links.get(id).scrollIntoView({ block: "nearest" });
  };
  const observer = new IntersectionObserver((entries) => {
    const shown = entries.find((entry) => entry.isIntersecting && links.has(entry.target.id));
    if (shown) mark(shown.target.id);
  }, { rootMargin: "-10% 0px -80% 0px" });
  for (const section of document.querySelectorAll("main section[id]")) observer.observe(section);
}

// Browsers permit access to the clipboard on HTTPS and on loopback only.
function addCopyButtons() {
  if (!navigator.clipboard) return;
  for (const block of document.querySelectorAll("main pre")) {
    const title = block.getAttribute("aria-label");
    const button = make("button", { class: "copy", type: "button", "aria-label": title ? `Copy ${title}` : "Copy these lines" }, "Copy");
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(block.textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    const frame = make("div", { class: "frame" });
    block.replaceWith(frame);
    frame.append(block, button);
  }
}

for (const place of document.querySelectorAll("[data-server]")) place.textContent = BASE;
byId("menu").addEventListener("click", () => showMenu(!menuIsOpen()));
byId("side").addEventListener("click", (event) => event.target.closest("a") && menuIsOpen() && showMenu(false));
narrow.addEventListener("change", () => showMenu(false));
addEventListener("keydown", onKey);

fetch(new URL("openapi.json", `${BASE}/`))
  .then((response) => (response.ok ? response.json() : Promise.reject(new Error(`HTTP ${response.status}`))))
  .then((api) => {
    draw(api);
    addCopyButtons();
    reveal();
    watchSections();
    addEventListener("hashchange", reveal);
    byId("filter").addEventListener("input", filter);
    document.documentElement.dataset.drawn = "yes";
  })
  .catch((error) => {
    byId("state").textContent = `/openapi.json could not be loaded: ${error.message}`;
    byId("state").className = "wrong";
  });

"use strict";
// Renders the page from /openapi.json. All text of the document is inserted as text, never as markup.

const byId = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Text nodes and <code> elements: text between backticks becomes code.
function prose(text) {
  return text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));
}

const shortName = (reference) => reference.split("/").pop();

// pydantic's name Success_Page_UploadView__ reads as "Page of UploadView in the envelope".
const readable = (name) => name.replace(/^Success_(.*)_$/, "$1 in the envelope").replace(/^Page_(.*)_/, "Page of $1");

function typeOf(schema) {
  if (typeof schema === "boolean") return schema ? "any" : "nothing";
  if (schema.$ref) return make("a", { href: `#schema-${shortName(schema.$ref)}` }, readable(shortName(schema.$ref)));
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  const choices = schema.anyOf || schema.oneOf;
  if (choices) return join(choices.map(typeOf), " | ");
  if (schema.type === "array" && schema.items) return join(["array of ", typeOf(schema.items)], "");
  if (schema.prefixItems) return join(["[", join(schema.prefixItems.map(typeOf), ", "), "]"], "");
  return [schema.type || "any", schema.format && `(${schema.format})`].filter(Boolean).join(" ");
}

function join(parts, between) {
  const span = make("span");
  parts.forEach((part, index) => span.append(...(index && between ? [between, part] : [part])));
  return span;
}

function limits(schema) {
  const names = { minimum: "from", maximum: "to", minLength: "at least", maxLength: "at most", default: "default", pattern: "pattern" };
  return Object.entries(names)
    .filter(([name]) => name in schema && schema[name] !== null)
    .map(([name, word]) => ` ${word} ${typeof schema[name] === "object" ? JSON.stringify(schema[name]) : schema[name]}`)
    .join(",");
}

function table(head, rows) {
  const body = make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, ...[cell].flat())))));
  return make("div", { class: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, ...head.map((cell) => make("th", {}, cell)))), body));
}

function responses(operation) {
  return Object.entries(operation.responses).map(([status, response]) => {
    const content = Object.entries(response.content || {});
    const codes = content.flatMap(([, media]) => Object.keys(media.examples || {}));
    if (codes.length) {
      return [status, make("span", { class: "codes" }, ...codes.map((code) => make("a", { href: `#${code}` }, make("code", {}, code))))];
    }
    const shapes = content.map(([type, media]) => join([type === "application/json" ? "" : `${type} `, media.schema ? typeOf(media.schema) : ""], ""));
    const extra = Object.keys(response.headers || {}).filter((name) => name !== "X-Request-Id");
    return [status, [...prose(response.description), ...shapes.flatMap((shape) => [" · ", shape]), extra.length ? ` · headers: ${extra.join(", ")}` : ""]];
  });
}

function drawRoute(method, path, operation) {
  const inside = make("div", { class: "inside" }, make("p", {}, ...prose(operation.description)));
  const parameters = operation.parameters.filter((item) => item.name !== "X-Request-Id");
  if (parameters.length) {
    const rows = parameters.map((item) => [
      item.name, `${item.in}${item.required ? ", required" : ""}`, [typeOf(item.schema), limits(item.schema)], prose(item.description || ""),
    ]);
    inside.append(make("h3", {}, "Parameters"), table(["Name", "Where", "Type", "Meaning"], rows));
  }
  if (operation.requestBody) {
    const shapes = Object.entries(operation.requestBody.content).map(([type, media]) => [type, [typeOf(media.schema), " ", operation.requestBody.description || ""]]);
    inside.append(make("h3", {}, "Body"), table(["Type", "Shape"], shapes));
  }
  inside.append(make("h3", {}, "Responses"), table(["Status", "What"], responses(operation)));
  const id = operation.operationId;
  const summary = make("summary", {}, make("span", { class: `method ${method}` }, method.toUpperCase()),
    make("span", { class: "path" }, path), make("span", { class: "what" }, operation.summary));
  const section = make("details", { class: "route", id }, summary, inside);
  section.dataset.words = `${method} ${path} ${section.textContent}`.toLowerCase();
  return section;
}

function drawSchema(name, schema) {
  const required = new Set(schema.required || []);
  const rows = Object.entries(schema.properties || {}).map(([field, part]) => [
    field, [typeOf(part), required.has(field) ? "" : ", optional", limits(part)], prose(part.description || ""),
  ]);
  const inside = rows.length ? table(["Field", "Type", "Meaning"], rows) : make("p", {}, typeOf(schema));
  const note = schema.description ? [make("p", {}, ...prose(schema.description.split("\n\n")[0]))] : [];
  return make("details", { class: "schema", id: `schema-${name}` }, make("summary", {}, readable(name)), ...note, inside);
}

function draw(api) {
  byId("version").textContent = `API ${api.info.version}`;
  byId("about").replaceChildren(...prose(api.info.description));
  const groups = new Map(api.tags.map((tag) => [tag.name, []]));
  for (const [path, item] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(item)) groups.get(operation.tags[0]).push([method, path, operation]);
  }
  for (const [name, routes] of groups) {
    byId("routes").append(make("section", {}, make("h2", {}, name), ...routes.map((route) => drawRoute(...route))));
    byId("contents").append(make("strong", {}, name), ...routes.map(([, , operation]) => make("a", { href: `#${operation.operationId}` }, operation.summary)));
  }
  for (const [code, row] of Object.entries(api["x-error-catalogue"])) {
    byId("catalogue").append(make("tr", { id: code }, make("td", {}, code), make("td", {}, String(row.status)),
      make("td", {}, row.retryable ? "yes" : "no"), make("td", {}, row.message)));
  }
  byId("schemas").append(...Object.entries(api.components.schemas).map(([name, schema]) => drawSchema(name, schema)));
  byId("errors").hidden = byId("schemas").hidden = false;
  byId("state").remove();
}

function reveal() {
  const target = byId(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === "DETAILS") target.open = true;
  if (target) target.scrollIntoView();
}

function filter() {
  const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const route of document.querySelectorAll("details.route")) {
    route.hidden = !words.every((word) => route.dataset.words.includes(word));
  }
  for (const row of document.querySelectorAll("#catalogue tr")) {
    row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
  }
}

// A URL that contains a user name and a password cannot be fetched; the browser sends them without being told.
fetch(new URL("openapi.json", location.origin + location.pathname))
  .then((response) => (response.ok ? response.json() : Promise.reject(new Error(`HTTP ${response.status}`))))
  .then((api) => {
    draw(api);
    reveal();
    addEventListener("hashchange", reveal);
    byId("filter").addEventListener("input", filter);
    document.documentElement.dataset.drawn = "yes";
  })
  .catch((error) => {
    byId("state").textContent = `/openapi.json could not be loaded: ${error.message}`;
    byId("state").className = "wrong";
  });

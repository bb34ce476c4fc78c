"use strict";
// Second part of the script of /docs: a section for each route, and the error catalogue.

const isError = (status) => Number(status) >= 400;
const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-");
// The facts that a message is filled with, in braces, are fields of the error's detail: shown as code.
const template = (message) => message.replace(/'?\{(\w+)\}'?/g, "`$1`");
// What a client sees first comes first: 201 before 200, which repeats it.
const successesOf = (operation) => Object.entries(operation.responses).filter(([status]) => !isError(status))
  .sort(([one], [other]) => (other === "201") - (one === "201"));

class Reference {
  constructor(api) {
    this.api = api;
    this.catalogue = api["x-error-catalogue"];
    this.schemas = new Schemas(api.components.schemas);
  }

  // [name, [[method, path, operation]]] in the order of the document.
  groups() {
    const groups = new Map(this.api.tags.map((tag) => [tag.name, []]));
    for (const [path, item] of Object.entries(this.api.paths)) {
      for (const [method, operation] of Object.entries(item)) groups.get(operation.tags[0]).push([method, path, operation]);
    }
    return [...groups];
  }

  group(name, routes) {
    const id = `group-${slug(name)}`;
    return make("section", { class: "group", "aria-labelledby": id }, make("h2", { id, tabindex: "-1" }, name),
      routes.map((route) => this.route(...route)));
  }

  route(method, path, operation) {
    const id = operation.operationId;
    const about = make("div", { class: "about" },
      heading(id, operation.summary),
      make("p", { class: "call" }, make("span", { class: `method ${method}` }, method.toUpperCase()), " ", make("span", { class: "path" }, path)),
      this.description(operation), this.parameters(operation), this.body(operation), this.responses(operation), this.failures(operation));
    const section = make("section", { class: "route", id, tabindex: "-1", "aria-labelledby": `${id}-title` }, about, this.samples(method, path, operation));
    section.dataset.words = `${method} ${path} ${section.textContent}`.toLowerCase();
    return section;
  }

  description(operation) {
    const [text, who] = operation.description.split("\n\nAccess: ");
    const basic = operation.security.some((way) => "basic" in way);
    const access = basic ? `${who} A browser sends the key as the password of Basic.` : who;
    return [make("p", {}, prose(text)), make("p", { class: "access" }, make("strong", {}, "Access"), " ", prose(access))];
  }

  parameters(operation) {
    const found = operation.parameters.filter((item) => item.name !== "X-Request-Id");
    if (!found.length) return "";
    const places = { path: "path", query: "query", header: "header" };
    return [make("h4", {}, "Parameters"), make("ul", { class: "fields" }, found.map((item) =>
      this.schemas.field(item.name, { ...item.schema, description: item.description },
        item.required ? `${places[item.in]}, required` : places[item.in], true)))];
  }

  body(operation) {
    if (!operation.requestBody) return "";
    return [make("h4", {}, "Request body"), ...Object.entries(operation.requestBody.content).map(([type, media]) => {
      const schema = this.schemas.resolved(media.schema);
      return [make("p", { class: "about" }, make("code", {}, type), operation.requestBody.description ? ": " : "", prose(operation.requestBody.description || "")),
        schema.properties ? this.schemas.fields(schema, true) : ""];
    })];
  }

  responses(operation) {
    const successes = successesOf(operation);
    const rows = successes.map(([status, response]) => {
      const headers = Object.entries(response.headers || {}).filter(([name]) => !/^(X-Request-Id|RateLimit.*)$/.test(name));
      return make("li", {}, make("p", { class: "line" }, make("span", { class: "status good" }, status), " ", prose(response.description)),
        headers.length ? make("details", { class: "nested" }, make("summary", {}, `Headers of ${status}`), make("ul", { class: "fields" }, headers.map(([name, header]) =>
          this.schemas.field(name, { type: "string", description: header.description }, "", false)))) : "");
    });
    const data = successes.flatMap(([, response]) => Object.values(response.content || {})).map((media) => this.dataOf(media.schema)).find(Boolean);
    return [make("h4", {}, "Responses"), make("ul", { class: "statuses" }, rows),
      data ? [make("p", { class: "about" }, "Fields of ", make("code", {}, "data"), ":"), this.schemas.fields(data, false)] : ""];
  }

  // The schema inside the envelope.
  dataOf(schema) {
    const envelope = schema && this.schemas.resolved(schema);
    const data = envelope?.properties?.data && this.schemas.resolved(envelope.properties.data);
    return data?.properties ? data : null;
  }

  failures(operation) {
    const codes = Object.entries(operation.responses).filter(([status]) => isError(status))
      .flatMap(([, response]) => Object.values(response.content || {}).flatMap((media) => Object.keys(media.examples || {})));
    if (!codes.length) return "";
    return make("details", { class: "errors" }, make("summary", {}, `${codes.length} errors, and what to do`), this.errorList(codes));
  }

  errorList(codes, identified = false) {
    return make("ul", { class: "codes" }, codes.map((code) => {
      const { status, retryable, message, advice } = this.catalogue[code];
      const name = identified ? make("code", {}, code) : make("a", { href: `#${code}` }, make("code", {}, code));
      return make("li", identified ? { id: code, tabindex: "-1" } : {},
        make("p", { class: "line" }, make("span", { class: "status bad" }, String(status)), " ", name, " ", make("span", { class: "note" }, retryable ? "retry" : "do not retry")),
        make("p", { class: "about" }, prose(template(message))), advice ? make("p", { class: "about" }, make("strong", {}, "What to do: "), prose(advice)) : "");
    }));
  }

  samples(method, path, operation) {
    const [sample] = operation["x-codeSamples"];
    const answers = successesOf(operation).flatMap(([status, response]) =>
      Object.values(response.content || {}).filter((media) => media.example !== undefined).map((media) => [status, media.example]));
    const name = operation.summary;
    return make("div", { class: "samples" }, codeBlock(`${method.toUpperCase()} ${path}`, sample.source, `curl: ${name}`),
      answers.slice(0, 1).map(([status, example]) =>
        codeBlock(`Response ${status}`, typeof example === "string" ? example.trimEnd() : spelled(example), `Response ${status}: ${name}`)));
  }

  errors() {
    return this.errorList(Object.keys(this.catalogue), true);
  }
}

function heading(id, text) {
  return make("h3", { id: `${id}-title` }, text, " ", make("a", { class: "anchor", href: `#${id}`, "aria-label": `Link to: ${text}` }, "#"));
}

// JSON with short arrays and objects on one line.
function spelled(value, indent = "") {
  const short = JSON.stringify(value);
  if (value === null || typeof value !== "object" || short.length + indent.length <= 44) return short.replace(/([,:])(?=["[{\dntf-])/g, typeof value === "object" ? "$1 " : "$1");
  const inner = `${indent}  `;
  const lines = Array.isArray(value)
    ? value.map((item) => inner + spelled(item, inner))
    : Object.entries(value).map(([name, item]) => `${inner}${JSON.stringify(name)}: ${spelled(item, inner)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return `${open}\n${lines.join(",\n")}\n${indent}${close}`;
}

function codeBlock(title, text, label) {
  return make("figure", {}, make("figcaption", {}, make("span", {}, title)), make("pre", { tabindex: "0", role: "group", "aria-label": label }, make("code", {}, text)));
}

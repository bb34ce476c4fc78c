"use strict";
// First part of the script of /docs: elements, and JSON schemas as lists of fields. All text of the document is inserted
// as text, never as markup.

const byId = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.flat(Infinity).filter((child) => child !== ""));
  return node;
}

// Text nodes and <code> elements: text between backticks becomes code.
function prose(text) {
  return text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));
}

// With a full stop. The first letter stays: it may begin a value.
const sentence = (text) => text && `${text}${/[.!?]$/.test(text) ? "" : "."}`;
const capital = (text) => text && text[0].toUpperCase() + text.slice(1);

// A pattern that is longer, or about control characters, says nothing to a reader; the description does.
const LONGEST_PATTERN = 40;

// What `limits` shows of a schema, and how.
const LIMITS = {
  minimum: (value) => `from ${value}`,
  maximum: (value) => (value > Number.MAX_SAFE_INTEGER ? "" : `to ${value}`),
  exclusiveMinimum: (value) => `more than ${value}`,
  minLength: (value) => (value > 1 ? `${value} characters or more` : "not empty"),
  maxLength: (value) => `at most ${value} characters`,
  minItems: (value) => `${value} items or more`,
  maxItems: (value) => `at most ${value} items`,
  pattern: (value) => (value.length > LONGEST_PATTERN || value.includes("\\x") ? "" : `pattern \`${value}\``),
  default: (value) => `default \`${JSON.stringify(value)}\``,
};

class Schemas {
  constructor(named) {
    this.named = named;
  }

  // The schema behind a reference. What stands beside the reference, such as a description, wins.
  resolved(schema) {
    if (typeof schema !== "object") return schema ? {} : { not: {} };
    if (!schema.$ref) return schema;
    const { $ref, ...beside } = schema;
    return { ...this.resolved(this.named[$ref.split("/").pop()] || {}), ...beside };
  }

  // The alternatives of a schema without null, and whether null is one.
  choices(schema) {
    const { anyOf, oneOf, ...beside } = this.resolved(schema);
    const all = anyOf || oneOf;
    if (!all) return { some: [beside], nullable: beside.type === "null" };
    const known = all.map((choice) => this.resolved(choice));
    const some = known.filter((choice) => choice.type !== "null");
    return { some: some.length === 1 ? [{ ...some[0], ...beside }] : some, nullable: some.length < known.length };
  }

  typeOf(schema) {
    const { some, nullable } = this.choices(schema);
    const words = [...new Set(some.map((choice) => this.simpleType(choice)))];
    return [...words, ...(nullable ? ["null"] : [])].join(" or ");
  }

  simpleType(schema) {
    if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
    if ("const" in schema) return JSON.stringify(schema.const);
    if (schema.prefixItems) return `[${schema.prefixItems.map((item) => this.typeOf(item)).join(", ")}]`;
    if (schema.type === "array") return `array of ${schema.items ? this.plural(schema.items) : "values"}`;
    return [schema.type || "any", schema.format && `(${schema.format})`].filter(Boolean).join(" ");
  }

  plural(schema) {
    const type = this.typeOf(schema);
    return /^(object|string|integer|number|boolean)$/.test(type) ? `${type}s` : type;
  }

  limits(schema) {
    const { some } = this.choices(schema);
    const shown = some.length === 1 ? some[0] : this.resolved(schema);
    return Object.entries(LIMITS)
      .filter(([name]) => name in shown && shown[name] !== null)
      .map(([name, say]) => say(shown[name]))
      .filter(Boolean)
      .join(", ");
  }

  // The objects below a field: [what they are to it, schema] for each alternative. Empty: it has no fields of its own.
  objects(schema, relation = "") {
    return this.choices(schema).some.flatMap((choice) => {
      if (choice.properties) return [[`${relation}${choice.properties.type?.const ? `${choice.properties.type.const} in ` : ""}`, choice]];
      if (choice.items) return this.objects(choice.items, "each ");
      if (typeof choice.additionalProperties === "object") return this.objects(choice.additionalProperties, "each value in ");
      return [];
    });
  }

  // A list of the fields of an object, with the fields of nested objects below each. `sent`: by the client, who has to know
  // what is required and which values are accepted. `above`: the objects that enclose it.
  fields(schema, sent, above = []) {
    const required = new Set(schema.required || []);
    return make("ul", { class: "fields" }, Object.entries(schema.properties).map(([name, part]) =>
      this.field(name, part, sent && required.has(name) ? "required" : "", sent, [...above, schema.properties])));
  }

  field(name, part, note, sent, above = []) {
    const shown = this.resolved(part);
    const line = make("p", { class: "line" }, make("code", { class: "name" }, name), " ", make("span", { class: "type" }, this.typeOf(part)),
      note ? [" ", make("span", { class: note === "required" ? "required" : "note" }, note)] : "");
    const limits = sent ? this.limits(part) : "";
    const about = sentence((shown.description || "").split("\n\n")[0]);
    const below = this.objects(part).filter(([, object]) => !above.includes(object.properties));
    return make("li", {}, line,
      about || limits ? make("p", { class: "about" }, prose(about), about && limits ? " " : "", limits ? make("span", { class: "limits" }, prose(capital(sentence(limits)))) : "") : "",
      below.map(([relation, object]) => this.nested(`${relation}${name}`, object, sent, above)));
  }

  nested(name, object, sent, above) {
    const count = Object.keys(object.properties).length;
    const summary = `${count} ${count === 1 ? "field" : "fields"} of ${name}`;
    return make("details", { class: "nested" }, make("summary", {}, summary), this.fields(object, sent, above));
  }
}

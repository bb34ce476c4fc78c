"use strict";
// Third part of the script of /docs: what the URLs of webhooks receive.

class Events {
  constructor(reference) {
    this.schemas = reference.schemas;
    this.events = Object.entries(reference.api.webhooks).map(([name, { post }]) => [name, post]);
  }

  // [id, text] of each section.
  links() {
    return [["events", "What your URL receives"], ...this.events.map(([name, operation]) => [operation.operationId, name])];
  }

  group() {
    const id = "group-events";
    return make("section", { class: "group", "aria-labelledby": id }, make("h2", { id, tabindex: "-1" }, "Webhook events"),
      this.request(), this.events.map((event) => this.event(...event)));
  }

  // What all events have in common, which is shown once.
  request() {
    const [[, operation]] = this.events;
    const names = this.events.map(([name]) => name);
    const { properties } = this.bodyOf(operation);
    const body = { ...properties, type: { enum: names, description: "Name of the event" }, data: { type: "object", description: "Depends on the event, see below" } };
    const headers = operation.parameters.map((item) =>
      this.schemas.field(item.name, { ...item.schema, description: item.description }, item.required ? "" : "optional", false));
    const rows = Object.entries(operation.responses).map(([status, response]) => {
      const kind = status.startsWith("2") ? "good" : "bad";
      return make("li", {}, make("p", { class: "line" }, make("span", { class: `status ${kind}` }, status === "default" ? "other" : status), " ", prose(response.description)));
    });
    const sample = operation.parameters.map((item) => `${item.name}: ${item.example}`).join("\n");
    return this.section("events", "What your URL receives",
      [make("p", { class: "call" }, make("span", { class: "method post" }, "POST"), " the URL of the webhook"),
        make("p", {}, "Each event is one request, signed as Standard Webhooks 1.0 specifies. Verify the signature of the bytes before you parse them, and ignore a ",
          make("code", {}, "webhook-id"), " that you know."),
        make("h4", {}, "Headers"), make("ul", { class: "fields" }, headers),
        make("h4", {}, "Body"), this.schemas.fields({ properties: body }, false),
        make("h4", {}, "Your response"), make("ul", { class: "statuses" }, rows)],
      codeBlock("Headers of a request", sample, "Headers of a request"));
  }

  event(name, operation) {
    const { data } = this.bodyOf(operation).properties;
    const { example } = operation.requestBody.content["application/json"];
    return this.section(operation.operationId, name,
      [make("p", {}, prose(operation.description)), make("p", { class: "about" }, "Fields of ", make("code", {}, "data"), ":"),
        this.schemas.fields(this.schemas.resolved(data), false)],
      codeBlock(`Body of ${name}`, spelled(example), `Body of ${name}`));
  }

  section(id, title, about, sample) {
    const section = make("section", { class: "event", id, tabindex: "-1", "aria-labelledby": `${id}-title` },
      make("div", { class: "about" }, heading(id, title), about), make("div", { class: "samples" }, sample));
    section.dataset.words = section.textContent.toLowerCase();
    return section;
  }

  bodyOf(operation) {
    return this.schemas.resolved(operation.requestBody.content["application/json"].schema);
  }
}

/** Uploads that match the search, and recent contents with their thumbnails. */

import { call, picture } from "./dashboard-api.js";
import { meter } from "./dashboard-charts.js";
import { draw, h } from "./dashboard-dom.js";
import { age, amounts, bytes, duration, fileSize, isSizeKnown, number, plural, time } from "./dashboard-format.js";
import { open, shortId } from "./dashboard-overview.js";

const ENDED = new Set(["ready", "joined", "failed", "expired", "cancelled"]);
/** What the bytes of an upload are, where they are not those of a whole file that its client sends in one upload. */
const KINDS = { partial: "part of a file", final: "joined from parts" };
const PAGE = 20;
// A search in file names looks at thousands of uploads, and many pages are many requests: these are repeated less often.
const EXPENSIVE_EVERY_MS = 10_000;
const FEW_PAGES = 2;
const RECENT = 12;

/** The list of uploads: what was asked for, and what has been found so far. */
export class UploadList {
  constructor(list, status) {
    this.list = list;
    this.statusLine = status;
    this.query = {};
    this.pages = 0;
    this.items = [];
    this.unreachable = [];
    this.running = 0;
    this.readAt = -Infinity;
  }

  /** Read what is shown anew, unless that is expensive and was done a moment ago. */
  async follow(now) {
    const isExpensive = this.query.search !== undefined || this.pages > FEW_PAGES;
    if (isExpensive && performance.now() - this.readAt < EXPENSIVE_EVERY_MS) this.show(now);
    else await this.refresh(now);
  }

  /** Begin again with other filters. */
  async search(query) {
    this.query = query;
    this.pages = 1;
    await this.refresh();
  }

  async more() {
    this.pages += 1;
    await this.refresh();
  }

  /** Read all pages that are shown anew. A later call wins over an earlier one that takes longer. */
  async refresh(now = Date.now()) {
    const run = (this.running += 1);
    this.readAt = performance.now();
    const items = [];
    let examined = 0;
    let unreachable = [];
    let cursor = null;
    for (let page = 0; page < this.pages; page += 1) {
      const sent = new URLSearchParams({ limit: PAGE, ...this.query, ...(cursor ? { cursor } : {}) });
      const found = await call(`v1/status/uploads?${sent}`);
      items.push(...found.items);
      examined += found.examined;
      unreachable = found.unreachable_cells;
      cursor = found.next_cursor;
      if (cursor === null) break;
    }
    if (run !== this.running) return;
    Object.assign(this, { items, examined, cursor, unreachable });
    this.show(now);
  }

  show(now) {
    const filtered = Object.keys(this.query).length > 0;
    const line = this.items.length === 0
      ? filtered ? `No upload matches. ${plural(this.examined, "upload was", "uploads were")} examined.` : "There are no uploads yet."
      : `${plural(this.items.length, "upload")}, newest first. ${filtered ? `${plural(this.examined, "upload was", "uploads were")} examined.` : ""}`;
    const [first, ...others] = this.unreachable;
    const missing = first === undefined ? "" : ` Those of ${others.length === 0 ? `cell ${first}, which does` : `cells ${this.unreachable.join(", ")}, which do`} not respond, are missing.`;
    if (this.statusLine.textContent !== line + missing) this.statusLine.textContent = line + missing;
    draw(this.list,
      h("ul", { class: "uploads", "aria-label": "Uploads" }, this.items.map((upload) => row(upload, now))),
      this.cursor && h("button", { type: "button", "data-action": "more" }, this.items.length === 0 ? "Search older uploads" : "Show older uploads"));
  }
}

function row(upload, now) {
  const ended = ENDED.has(upload.status);
  const unfinished = ended && upload.status !== "ready" && upload.status !== "joined";
  const about = [upload.owner, KINDS[upload.transport], shortId(upload.id)].filter(Boolean).join(" · ");
  return h("li", { key: upload.id, class: `upload ${upload.status}` },
    h("div", { class: "name" }, open(upload.id, upload.filename), h("small", { class: "soft" }, about)),
    h("span", { class: `badge ${upload.status}` }, upload.queue_position ? `waiting, no. ${upload.queue_position}` : upload.status),
    h("div", { class: "progress" },
      meter(isSizeKnown(upload) ? upload.size : null, [["reserved", upload.bytes_received], ["disk", upload.bytes_stored]], amounts(upload)),
      h("small", { class: "soft" }, unfinished && isSizeKnown(upload)
        ? `${bytes(upload.bytes_received)} of ${bytes(upload.size)}`
        : `${fileSize(upload)} · ${amounts(upload)}`)),
    h("small", { class: "soft when" }, `${age(now - time(upload.created_at))} ago`),
    h("div", { class: "actions" }, !ended && h("button", {
      type: "button", class: "danger", "data-action": "cancel", "data-id": upload.id, "data-name": upload.filename,
    }, "Cancel", h("span", { class: "hidden-visually" }, ` ${upload.filename}`))),
    upload.error && h("p", { class: "error" }, h("code", {}, upload.error.code), ` ${upload.error.message}`));
}

/** The newest contents. Their thumbnails are fetched once. */
export class ContentList {
  constructor(list) {
    this.list = list;
    this.items = [];
    this.pictures = new Map();
  }

  async refresh() {
    const { items } = await call(`v1/contents?limit=${RECENT}`);
    this.items = items;
    const ids = new Set(items.map((content) => content.id));
    for (const [id, url] of this.pictures) {
      if (ids.has(id)) continue;
      if (url) URL.revokeObjectURL(url);
      this.pictures.delete(id);
    }
    this.show();
    // Not awaited: a store that is unavailable delays pictures only.
    for (const { id } of items.filter(({ id, thumbnail }) => thumbnail !== null && !this.pictures.has(id))) this.fetchPicture(id);
  }

  async fetchPicture(id) {
    this.pictures.set(id, null);
    const url = await picture(`v1/contents/${id}/thumbnail?via=gateway`).catch(() => null);
    if (url !== null && this.pictures.has(id)) this.pictures.set(id, url);
    else {
      this.pictures.delete(id); // the next refresh tries again
      if (url !== null) URL.revokeObjectURL(url);
    }
    this.show();
  }

  show() {
    draw(this.list, this.items.length === 0
      ? h("p", { class: "soft" }, "There are no contents yet. An upload that is ready becomes one.")
      : h("ul", { class: "contents" }, this.items.map((content) => this.card(content))));
  }

  card(content) {
    const url = this.pictures.get(content.id);
    const size = content.width ? `${content.width} × ${content.height}` : null;
    const facts = [content.video_codec, content.audio_codec, size, content.duration_seconds === null ? null : duration(1000 * content.duration_seconds),
      bytes(content.object.size_bytes), content.frame_rate ? `${number(Math.round(content.frame_rate * 100) / 100)} fps` : null];
    return h("li", { key: content.id },
      h("div", { class: "picture" }, url
        ? h("img", { key: url, src: url, alt: "" })
        : h("span", { class: "soft" }, content.thumbnail === null ? `${content.kind}, no thumbnail` : "…")),
      h("div", { class: "content-text" },
        h("h3", {}, content.filename),
        h("p", {}, facts.filter(Boolean).join(" · ")),
        h("p", { class: "soft" }, `${content.container_format ?? content.kind} · ${content.owner} · ${age(Date.now() - time(content.created_at))} ago`)),
      h("div", { class: "controls" },
        h("button", { type: "button", "data-action": "open", "data-id": content.id }, "Timeline", h("span", { class: "hidden-visually" }, ` of ${content.filename}`)),
        h("button", { type: "button", class: "danger", "data-action": "delete", "data-id": content.id, "data-name": content.filename },
          "Delete", h("span", { class: "hidden-visually" }, ` ${content.filename}`))));
  }
}

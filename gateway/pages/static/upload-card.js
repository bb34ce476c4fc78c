/** One upload in the list of /upload. */

import { STAGES, adviceFor, badge, describeMedia, describeState, mayTryAgain } from "./upload-words.js";

const DRAW_MILLISECONDS = 200;
/** After which a thumbnail that could not be fetched is requested again. */
const PICTURE_MILLISECONDS = 3000;

export class Card {
  #parts = {};
  #pictureUrl = null;
  #fetchesPicture = false;
  #timer = null;
  #lastActions = "";
  #tries = 0;

  /**
   * @param {{name: string, path: string}} file
   * @param {{onAction: (action: string, card: Card) => void, onChange: (card: Card) => void}} page
   */
  constructor(file, page) {
    this.page = page;
    this.name = file.name;
    this.upload = null;
    /** A record of an unfinished upload whose file is not here. */
    this.record = null;
    /** What to say in place of the upload's own error. */
    this.notice = null;
    this.chosen = null;
    this.element = document.getElementById("card").content.firstElementChild.cloneNode(true);
    for (const name of ["picture", "kind", "name", "badge", "state", "media", "stages", "error", "why", "code", "actions"]) {
      this.#parts[name] = this.element.querySelector(`.${name}`);
    }
    this.#parts.progress = this.element.querySelector("progress");
    this.#parts.progress.setAttribute("aria-label", `Progress of ${file.name}`);
    this.#parts.name.textContent = file.name;
    const folder = file.path?.split("/").slice(0, -1).join("/");
    if (folder) {
      const small = document.createElement("small");
      small.textContent = folder;
      this.#parts.name.append(small);
    }
    this.#parts.kind.textContent = /\.([^.]{1,5})$/.exec(file.name)?.[1] ?? "file";
  }

  /** Show an upload from now on. */
  follow(upload) {
    this.upload = upload;
    this.record = null;
    this.notice = null;
    this.#fetchesPicture = false;
    for (const type of ["change", "progress", "end"]) upload.addEventListener(type, () => this.#later(type === "end"));
    this.draw();
  }

  /** "running", "paused", "ready", "failed", "unfinished". */
  get state() {
    const { upload } = this;
    if (!upload) return this.record ? "unfinished" : "failed";
    if (upload.error) return upload.error.code === "FILE_NEEDED" ? "unfinished" : "failed";
    if (upload.content) return "ready";
    return upload.isPaused ? "paused" : "running";
  }

  remove() {
    clearTimeout(this.#timer);
    if (this.#pictureUrl) URL.revokeObjectURL(this.#pictureUrl);
    this.element.remove();
  }

  /** What the badge says. */
  get word() {
    return this.#badge()[0];
  }

  #badge() {
    if (this.state === "unfinished") return ["Unfinished", "wait"];
    return this.upload ? badge(this.upload) : ["Refused", "bad"];
  }

  draw() {
    const { state, upload } = this;
    const { stages, progress, error, media } = this.#parts;
    this.element.className = `card is-${state}`;
    const [word, kind] = this.#badge();
    this.#parts.badge.textContent = word;
    this.#parts.badge.className = `badge ${kind}`;
    this.#parts.state.textContent = upload ? describeState(upload) : (this.record?.words ?? "");
    progress.hidden = state === "failed" || state === "ready";
    progress.value = upload ? upload.bytesSent / upload.bytesTotal : (this.record?.part ?? 0);
    const failure = this.notice ?? upload?.error;
    error.hidden = !failure || failure.code === "UPLOAD_CANCELLED";
    if (failure) {
      this.#parts.why.textContent = adviceFor(failure);
      this.#parts.code.textContent = [failure.code, upload?.id].filter(Boolean).join(" · ");
    }
    if (upload?.view?.media) {
      media.hidden = false;
      media.textContent = describeMedia(upload.view.media);
    }
    this.#drawStages(stages, upload?.view, state);
    this.#drawActions(this.#actions(state));
    this.#drawPicture();
  }

  #drawStages(list, view, state) {
    list.hidden = !view || state === "ready" || state === "failed" || !["receiving", "processing"].includes(view.status);
    if (list.hidden) return;
    const items = Object.entries(STAGES).filter(([name]) => view.stages[name] && view.stages[name].state !== "skipped");
    list.replaceChildren(...items.map(([name, word]) => {
      const item = document.createElement("li");
      const now = view.stages[name].state;
      item.textContent = word;
      item.className = now === "done" ? "done" : now === "failed" ? "failed" : now === "running" || now === "idle" ? "now" : "";
      const hidden = document.createElement("span");
      hidden.className = "hidden-visually";
      hidden.textContent = now === "done" ? ": done" : item.className === "now" ? ": in progress" : "";
      item.append(hidden);
      return item;
    }));
  }

  #actions(state) {
    switch (state) {
      case "running":
        return [["pause", "Pause"], ["cancel", "Cancel"]];
      case "paused":
        return [["resume", "Resume"], ["cancel", "Cancel"]];
      case "unfinished":
        return [["again", this.record?.handle ? "Continue" : "Choose the file again"], ["discard", "Discard"]];
      case "failed":
        return [
          ...(this.upload && this.chosen && mayTryAgain(this.upload.error) ? [["retry", "Try again"]] : []),
          ["remove", "Clear"],
        ];
      default:
        return [["copy", "Copy content id"], ["remove", "Clear"]];
    }
  }

  /** Buttons are replaced only when they change, so that none loses the focus while bytes are counted. */
  #drawActions(actions) {
    const now = JSON.stringify(actions);
    if (now === this.#lastActions) return;
    this.#lastActions = now;
    const hadFocus = this.#parts.actions.contains(document.activeElement);
    this.#parts.actions.replaceChildren(...actions.map(([action, word]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.action = action;
      button.textContent = word;
      const target = document.createElement("span");
      target.className = "hidden-visually";
      target.textContent = ` ${this.name}`;
      button.append(target);
      if (action === "cancel" || action === "discard") button.classList.add("danger");
      button.addEventListener("click", () => this.page.onAction(action, this));
      return button;
    }));
    if (hadFocus) this.#parts.actions.querySelector("button")?.focus();
  }

  async #drawPicture() {
    if (this.#pictureUrl || this.#fetchesPicture || this.#tries > 5) return;
    if (this.upload?.view?.stages.thumbnail?.state !== "done" || this.state === "failed") return;
    this.#fetchesPicture = true;
    this.#tries += 1;
    const blob = await this.upload.thumbnail().catch(() => null);
    this.#fetchesPicture = false;
    if (!blob) {
      setTimeout(() => this.draw(), PICTURE_MILLISECONDS);
      return;
    }
    this.#pictureUrl = URL.createObjectURL(blob);
    const image = this.#parts.picture.querySelector("img");
    image.src = this.#pictureUrl;
    image.hidden = false;
    this.#parts.kind.hidden = true;
  }

  /** Draw soon: many changes become one. */
  #later(atOnce) {
    if (atOnce) {
      clearTimeout(this.#timer);
      this.#timer = null;
      this.draw();
      this.page.onChange(this);
      return;
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.draw();
      this.page.onChange(this);
    }, DRAW_MILLISECONDS);
  }
}

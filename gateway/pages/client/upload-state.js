/**
 * What one upload shows: its state for the page, and the reports of those that send its bytes.
 *
 * Guarantee: after each change an event is dispatched: `change`, `progress`, `media`, `created`, `restart`, `end`.
 */

import { Progress } from "./progress.js";

export class UploadState extends EventTarget {
  /** @protected */
  reservation;
  #connection;
  #progress;
  #mediaShown = false;

  constructor(connection, file, filename) {
    super();
    this.#connection = connection;
    this.file = file;
    this.filename = filename;
    this.path = null;
    /** The upload as the server describes it; null before its creation. */
    this.view = null;
    /** The content, once the upload is `ready`. */
    this.content = null;
    /** Why it ended without a content. */
    this.error = null;
    /** What it waits for: {error, at}, `at` being the time of the next attempt in milliseconds, or null. */
    this.problem = null;
    this.isPaused = false;
    this.isSending = false;
    this.#progress = new Progress(file.size);
  }

  get id() {
    return this.view?.id ?? null;
  }

  /** The same for the same file, address, account and options. */
  get fingerprint() {
    return this.reservation.id;
  }

  get token() {
    return this.reservation.token;
  }

  /** `queued` before the server knows it, then the status that the server reports. */
  get status() {
    return this.view?.status ?? "queued";
  }

  get bytesTotal() {
    return this.file.size;
  }

  get bytesSent() {
    return this.#progress.sent;
  }

  /** Bytes per second; null while it is not known. */
  get rate() {
    return this.isSending ? this.#progress.rate : null;
  }

  /** Seconds until every byte is sent, at the current rate; null while it is not known. */
  get secondsLeft() {
    return this.rate ? (this.bytesTotal - this.bytesSent) / this.rate : null;
  }

  /** The thumbnail as a Blob, also while bytes are still being sent; null while there is none. */
  async thumbnail(signal = new AbortController().signal) {
    if (this.view?.stages.thumbnail?.state !== "done") return null;
    const path = this.view.content_id ? `/v1/contents/${this.id}/thumbnail?via=gateway` : `${this.path}/thumbnail`;
    try {
      return await this.#connection.blob(path, { signal, upload: this });
    } catch (error) {
      if (error.status === 404) return null;
      throw error;
    }
  }

  // What the senders report.

  /** @internal */
  source(signal) {
    const connection = this.#connection;
    return {
      view: () => connection.json("GET", this.path, { signal, upload: this }),
      openStream: async (until) =>
        (0, connection.fetch)(connection.url(`${this.path}/events`), {
          headers: { Accept: "text/event-stream", ...(await connection.authorization(this)) },
          signal: until,
          credentials: "omit",
          cache: "no-store",
        }),
      takeStream: () => connection.streams.tryTake(),
    };
  }

  /** @internal */
  take(view) {
    this.view = { ...view, grants: view.grants ?? this.view?.grants };
    this.#forgetProblem();
    this.#progress.take(view);
    if (view.media && !this.#mediaShown) {
      this.#mediaShown = true;
      this.emit("media");
    }
    this.changed();
  }

  /** What was sent before the device went offline may still be reported. */
  #forgetProblem() {
    if (this.problem?.error.code === "OFFLINE" && globalThis.navigator?.onLine === false) return;
    this.problem = null;
  }

  /** @internal */
  slice(number) {
    const start = (number - 1) * this.view.segment_size;
    return this.file.slice(start, Math.min(start + this.view.segment_size, this.file.size));
  }

  /** @internal */
  underWay(number, bytes) {
    this.#progress.underWay(number, bytes);
    if (bytes > 0) this.#forgetProblem();
    this.emit("progress");
  }

  /** @internal */
  accepted(number) {
    this.#progress.accepted(number, this.slice(number).size);
    this.#forgetProblem();
    this.emit("progress");
  }

  /** @internal */
  windowFull(number) {
    this.#progress.underWay(number, 0);
    this.emit("progress");
  }

  /** @internal */
  lost(number) {
    this.#progress.lost(number);
    this.emit("progress");
  }

  /** @internal */
  keepOnly(missing) {
    this.#progress.keepOnly(this.view, missing);
    this.emit("progress");
  }

  /** @internal */
  onRetry = (error, seconds) => {
    this.problem = { error, at: seconds === null ? null : Date.now() + seconds * 1000 };
    this.#progress.restart();
    this.changed();
  };

  /** @internal */
  async renewToken(signal) {
    return this.reservation.renewToken(signal);
  }

  /** @protected Sending begins, or begins again from nothing. */
  restartProgress(isNew) {
    if (isNew) this.#progress = new Progress(this.file.size);
    else this.#progress.restart();
  }

  /** @protected */
  changed() {
    this.emit("change");
  }

  /** @protected */
  emit(type) {
    this.dispatchEvent(new Event(type));
  }
}

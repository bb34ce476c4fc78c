/**
 * One file's upload, from the request for room until it is `ready`.
 *
 * Guarantee: only missing segments are sent, also after a reload or an hour offline. `done` settles exactly once: with
 * the content, or with a SluiceError that says why there is none. An upload that expired while this device was away is
 * created again, as long as the file is here. What the server loses before `ready` is sent again.
 */

import { DirectSender } from "./direct-sender.js";
import { SluiceError } from "./errors.js";
import { ENDED, follow } from "./following.js";
import { GatewaySender } from "./gateway-sender.js";
import { anySignal } from "./requests.js";
import { Reservation } from "./reservation.js";
import { UploadState } from "./upload-state.js";

const PAUSED = Symbol("paused");
const MOST_FRUITLESS_ROUNDS = 5;
const MOST_RESTARTS = 3;

export class Upload extends UploadState {
  #connection;
  #stop = new AbortController();
  #session = new AbortController();
  #resumed = null;
  #restarts = 0;
  #settle;
  #fruitless = 0;

  /** Use `SluiceClient.upload`. */
  constructor(connection, file, options) {
    super(connection, file, options.filename);
    this.#connection = connection;
    this.reservation = new Reservation(connection, file, options);
    this.done = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    this.done.catch(() => {}); // also reported by the event `end`
    if (options.signal) {
      const abort = () => this.#stop.abort(new SluiceError("ABORTED", undefined, { cause: options.signal.reason }));
      if (options.signal.aborted) abort();
      else options.signal.addEventListener("abort", abort, { once: true, signal: this.#stop.signal });
    }
    this.#run().then(
      (content) => this.#end(content, null),
      (error) => this.#end(null, asSluiceError(error)),
    );
  }

  /** Stop sending until `resume`; the server keeps what it has until the upload expires. */
  pause() {
    if (this.isPaused || this.#stop.signal.aborted || this.error || this.content) return;
    this.isPaused = true;
    let go;
    this.#resumed = new Promise((resolve) => (go = resolve));
    this.#resumed.go = go;
    this.problem = null;
    this.#session.abort(PAUSED);
    this.changed();
  }

  resume() {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.#resumed.go();
    this.changed();
  }

  /** End the upload on the server; `done` rejects with UPLOAD_CANCELLED. Resolves when the server has been told. */
  async cancel() {
    const { id, path, token } = this;
    this.#stop.abort(new SluiceError("UPLOAD_CANCELLED", "The upload was cancelled."));
    this.#resumed?.go();
    await this.reservation.forget();
    if (id !== null) await this.#delete(path, token);
  }

  async #run() {
    const finish = await this.#connection.inFlight.take(this.#stop.signal);
    try {
      for (;;) {
        if (this.isPaused) await this.#resumed;
        this.#stop.signal.throwIfAborted();
        this.#session = new AbortController();
        const signal = anySignal([this.#stop.signal, this.#session.signal]);
        try {
          await this.#step(signal);
        } catch (error) {
          if (this.#stop.signal.aborted) throw this.#stop.signal.reason;
          if (error === PAUSED || signal.aborted) continue;
          if (!(await this.#startsAgain(error?.code))) throw error;
          continue;
        }
        if (!ENDED.has(this.status)) continue;
        if (this.status === "ready") {
          const options = { signal: this.#stop.signal, upload: this };
          return await this.#connection.json("GET", `/v1/contents/${this.id}`, options);
        }
        const { code, message } = this.view.error ?? {
          code: `UPLOAD_${this.status.toUpperCase()}`, message: `The upload is ${this.status}.`,
        };
        if (!(await this.#startsAgain(code))) throw new SluiceError(code, message);
      }
    } finally {
      finish();
    }
  }

  /** One turn of sending, then wait until the server needs something or the upload has ended. */
  async #step(signal) {
    const release = await this.#connection.turns.take(signal);
    try {
      await this.#reserve(signal);
      await this.#send(signal);
    } finally {
      this.isSending = false;
      release();
    }
    if (ENDED.has(this.status)) return;
    if (this.status === "waiting") await this.#follow(signal, (view) => view.status !== "waiting", false);
    else await this.#followProcessing(signal);
  }

  async #reserve(signal) {
    const before = this.view;
    const view = before === null ? await this.reservation.open(signal, this.onRetry) : await this.source(signal).view();
    this.path = `/v1/uploads/${view.id}`;
    this.take(view);
    if (before === null) this.emit("created");
  }

  async #send(signal) {
    if (this.view.transport === "direct") {
      if (this.status !== "granted") return;
      this.isSending = true;
      const sender = new DirectSender(this, this.#connection);
      this.take(await sender.run(signal, this.reservation.isResumed || this.bytesSent > 0));
      return;
    }
    while (!ENDED.has(this.status) && this.status !== "waiting" && this.view.missing_segments.length > 0) {
      this.isSending = true;
      this.restartProgress(false);
      const isComplete = await new GatewaySender(this, this.#connection).run(signal);
      this.take(await this.source(signal).view());
      if (isComplete) return;
    }
  }

  async #followProcessing(signal) {
    const before = JSON.stringify(this.view.missing_segments);
    let wasComplete = before === "[]";
    await this.#follow(signal, (view) => {
      wasComplete ||= view.missing_segments.length === 0;
      return ENDED.has(view.status) || (view.transport === "gateway" && view.missing_segments.length > 0);
    });
    const repeats = !wasComplete && JSON.stringify(this.view.missing_segments) === before;
    this.#fruitless = repeats ? this.#fruitless + 1 : 0;
    if (this.#fruitless === MOST_FRUITLESS_ROUNDS) throw new SluiceError("SEGMENTS_NOT_KEPT");
  }

  /** A waiting upload leaves the stream to those whose bytes are being sent. */
  #follow(signal, until, streams = true) {
    const source = this.source(signal);
    return follow(streams ? source : { ...source, takeStream: () => null }, signal, (view) => {
      this.take(view);
      return until(view);
    });
  }

  /** Whether an upload that ended this way, or that the server has lost, begins again from the start. */
  async #startsAgain(code) {
    if (code !== "UPLOAD_EXPIRED" && code !== "UPLOAD_NOT_FOUND") return false;
    if (this.#restarts === MOST_RESTARTS) return false;
    this.#restarts += 1;
    await this.reservation.startAgain();
    this.view = null;
    this.restartProgress(true);
    this.emit("restart");
    return true;
  }

  /** Tell the server; an upload of which it is not told expires there. */
  #delete(path, token) {
    const upload = { token, renewToken: async () => false };
    return this.#connection.json("DELETE", path, { signal: AbortSignal.timeout(30_000), upload, quiet: true }).catch(() => {});
  }

  #end(content, error) {
    this.content = content;
    this.error = error;
    this.problem = null;
    this.isPaused = false;
    if (content !== null) this.view = { ...this.view, status: "ready" };
    // What this device stopped can be continued; what the server ended or refused to create cannot.
    const isRefused = this.id === null && error !== null && isFinalRefusal(error);
    const isOver = content !== null || ENDED.has(this.status) || isRefused || error.code === "UPLOAD_CANCELLED";
    if (error?.code === "FILE_CHANGED" && this.path) this.#delete(this.path, this.token);
    if (isOver || error?.code === "FILE_CHANGED") this.reservation.forget().catch(() => {});
    this.changed();
    this.emit("end");
    if (error) this.#settle.reject(error);
    else this.#settle.resolve(content);
  }
}

/** Whether the server would refuse the same request from the same person again. */
function isFinalRefusal({ status, retryable }) {
  return status >= 400 && status < 500 && status !== 401 && !retryable;
}

function asSluiceError(error) {
  return error instanceof SluiceError ? error : new SluiceError("UNEXPECTED", String(error), { cause: error });
}

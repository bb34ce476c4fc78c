/**
 * Finds the upload that an earlier page or process created for the same file, or creates one, and keeps its token.
 */

import { fingerprint } from "./resume-store.js";
import { SluiceError } from "./errors.js";

const OVER = new Set(["failed", "expired", "cancelled"]);

export class Reservation {
  #connection;
  #record = null;
  #body;
  #isReplaced = false;

  constructor(connection, file, { filename, path, contentType, metadata, transport, lastModified, handle }) {
    this.#connection = connection;
    /** Whether an earlier page or process has begun it. */
    this.isResumed = false;
    this.token = null;
    this.#body = { filename, size: file.size, content_type: contentType, transport, metadata };
    const { endpoint: server, account } = connection.options;
    const facts = { server, account, filename, path, size: file.size, lastModified, contentType, transport, metadata };
    this.id = fingerprint(facts);
    this.facts = { ...facts, handle };
  }

  get #store() {
    return this.#connection.options.store;
  }

  /** The upload's view. */
  async open(signal, onRetry) {
    this.#record = await this.#store.get(this.id);
    while (this.#record?.uploadId) {
      const view = await this.#known(signal, onRetry);
      if (view !== null && !OVER.has(view.status)) {
        this.isResumed = true;
        return view;
      }
      await this.startAgain();
    }
    this.#record ??= await this.#begin();
    let view = await this.#create(signal, onRetry);
    // A page that was closed before it received the response may have created it, and it may have ended since.
    if (OVER.has(view.status)) {
      this.#record = await this.#begin();
      view = await this.#create(signal, onRetry);
    }
    return view;
  }

  /**
   * A new token for the same upload; false where there is no key or permit to ask with. Throws UPLOAD_NOT_FOUND where
   * another permit is used now, which does not know the upload: its upload takes the place of the earlier one.
   */
  async renewToken(signal) {
    const before = this.#record?.uploadId ?? null;
    if (before === null || !(await this.#connection.credential())) return false;
    try {
      const { id } = await this.#create(signal, undefined);
      if (id === before) return true;
    } catch (error) {
      if (error instanceof SluiceError) return false;
      throw error;
    }
    this.#isReplaced = true;
    throw new SluiceError("UPLOAD_NOT_FOUND");
  }

  /** `open` makes another upload, unless one has taken the place of the earlier one already. */
  async startAgain() {
    const isReplaced = this.#isReplaced;
    this.#isReplaced = false;
    if (!isReplaced) await this.forget();
  }

  async forget() {
    this.#record = null;
    this.token = null;
    this.isResumed = false;
    await this.#store.delete(this.id);
  }

  /** The upload of the record; null where the server does not know it, or not any more. */
  async #known(signal, onRetry) {
    this.token = this.#record.token;
    const reservation = this;
    const upload = {
      get token() {
        return reservation.token;
      },
      onRetry,
      renewToken: () => this.renewToken(signal),
    };
    try {
      return await this.#connection.json("GET", `/v1/uploads/${this.#record.uploadId}`, { signal, upload });
    } catch (error) {
      if (error.code !== "UPLOAD_NOT_FOUND" && error.status !== 401 && error.status !== 403) throw error;
      return null;
    }
  }

  async #begin() {
    const record = { id: this.id, ...this.facts, key: randomKey(), createdAt: Date.now(), uploadId: null, token: null };
    await this.#store.put(record);
    return record;
  }

  async #create(signal, onRetry) {
    const view = await this.#connection.create(this.#body, this.#record.key, signal, onRetry);
    this.token = view.upload_token?.token ?? null;
    this.#record = { ...this.#record, uploadId: view.id, token: this.token };
    await this.#store.put(this.#record);
    return view;
  }
}

/** A version 4 UUID; `crypto.randomUUID` exists in secure contexts only. */
function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

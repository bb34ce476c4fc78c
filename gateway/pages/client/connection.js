/**
 * What the uploads of one client share: the server's address, credentials, limits and digests.
 *
 * Guarantee: at most `segments` segments are being sent at once, over all files, and at most `files` files are being
 * sent. The key or permit is sent to this server only, and for creations only; everything else uses the upload's token.
 */

import { Digests } from "./digests.js";
import { SluiceError } from "./errors.js";
import { Semaphore } from "./limits.js";
import { requestBlob, requestJson, withRetries } from "./requests.js";

/** Of a token that may be renewed by repeating the creation. */
const REFUSED = new Set(["CREDENTIAL_INVALID", "CREDENTIAL_EXPIRED", "UNAUTHENTICATED"]);

export class Connection {
  constructor(options) {
    this.options = options;
    /** Called as a plain function: browsers refuse `fetch` as a method of anything but the window. */
    this.fetch = options.fetch ?? globalThis.fetch;
    this.digests = new Digests();
    this.slots = new Semaphore(options.segments);
    this.turns = new Semaphore(options.files);
    this.inFlight = new Semaphore(4 * options.files);
    this.streams = new Semaphore(1);
  }

  url(path) {
    return this.options.endpoint + path;
  }

  async authorization(upload) {
    const token = upload?.token ?? (await this.credential());
    return token ? { Authorization: `Bearer ${token}` } : {};
  }

  async credential() {
    const { credential } = this.options;
    return typeof credential === "function" ? credential() : credential;
  }

  /** JSON with retries. `upload`: with its token, and its retries are shown as its. */
  json(method, path, { body, headers = {}, signal, upload, quiet = false }) {
    return this.#retried(upload, signal, quiet, async () =>
      requestJson(this.fetch, method, this.url(path), {
        headers: { ...headers, ...(await this.authorization(upload)) }, body, signal,
      }));
  }

  blob(path, { signal, upload }) {
    return this.#retried(upload, signal, true, async () =>
      requestBlob(this.fetch, this.url(path), { headers: await this.authorization(upload), signal }));
  }

  /** The response to a creation. The key or permit is used, not the upload's token. */
  create(body, key, signal, onRetry) {
    return withRetries(async () =>
      requestJson(this.fetch, "POST", this.url("/v1/uploads"), {
        headers: { "Idempotency-Key": key, ...(await this.authorization(null)) }, body, signal,
      }), { signal, giveUpAfter: this.options.giveUpAfter, onRetry });
  }

  /** If `error` says that the upload's token is not valid any more: get a new one, after which the request may be
   * repeated. */
  async renewed(error, upload, signal) {
    if (!(error instanceof SluiceError) || !REFUSED.has(error.code) || !upload?.token) return;
    error.retryable = await upload.renewToken(signal);
  }

  #retried(upload, signal, quiet, attempt) {
    return withRetries(async () => {
      try {
        return await attempt();
      } catch (error) {
        await this.renewed(error, upload, signal);
        throw error;
      }
    }, { signal, giveUpAfter: this.options.giveUpAfter, onRetry: quiet ? undefined : upload?.onRetry });
  }
}

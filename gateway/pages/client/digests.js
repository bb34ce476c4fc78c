/**
 * Digests off the main thread.
 *
 * `crypto.subtle` is asynchronous, but the bytes of a segment have to be read into memory first, and crc32c and md5 are
 * computed here: a worker keeps all of it, and its garbage, away from a page's thread. Node has no page, and its
 * `crypto.subtle` runs in a thread pool, so there it is called directly; so it is where a worker cannot start (a module
 * of another origin).
 */

import { digestOf } from "./digest-core.js";
import { SluiceError } from "./errors.js";

export class Digests {
  #worker = null;
  #startedWorker = false;
  #waiting = new Map();
  #lastId = 0;

  /** The algorithm for segments: sha-256, or crc32c where the page has no crypto.subtle. */
  get algorithm() {
    return globalThis.crypto?.subtle ? "sha-256" : "crc32c";
  }

  /**
   * Headers that let the gateway verify these bytes (RFC 9530) or, with `md5` (RFC 1864), the object store behind it.
   * Rejects with FILE_CHANGED.
   */
  async forGateway(blob, md5) {
    if (md5) return { "Content-MD5": base64(await this.#digest(blob, "md5")) };
    const { algorithm } = this;
    return { "Content-Digest": `${algorithm}=:${base64(await this.#digest(blob, algorithm))}:` };
  }

  /** Headers that let the object store behind a presigned URL verify these bytes. */
  async forStore(blob, url) {
    const digest = await this.#digest(blob, "md5");
    const isSwift = new URL(url).searchParams.has("temp_url_sig");
    return isSwift ? { ETag: hex(digest) } : { "Content-MD5": base64(digest) };
  }

  close() {
    this.#worker?.terminate();
    this.#worker = null;
    this.#startedWorker = false;
    this.#fail("the worker was stopped");
  }

  async #digest(blob, algorithm) {
    try {
      const worker = this.#start();
      if (worker === null) return await digestOf(blob, algorithm);
      const id = (this.#lastId += 1);
      return await new Promise((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject });
        worker.postMessage({ id, blob, algorithm });
      });
    } catch (cause) {
      if (cause instanceof WorkerFailure) return this.#digest(blob, algorithm);
      throw new SluiceError("FILE_CHANGED", undefined, { cause });
    }
  }

  #start() {
    if (this.#startedWorker) return this.#worker;
    this.#startedWorker = true;
    if (typeof Worker !== "function" || typeof document === "undefined") return null;
    try {
      const worker = new Worker(new URL("./digest-worker.js", import.meta.url), { type: "module" });
      worker.onmessage = ({ data: { id, digest, error } }) => {
        const waiter = this.#waiting.get(id);
        this.#waiting.delete(id);
        if (error === undefined) waiter?.resolve(digest);
        else waiter?.reject(new Error(error));
      };
      worker.onerror = () => {
        this.#worker = null;
        this.#fail("the worker could not start");
      };
      this.#worker = worker;
    } catch {
      this.#worker = null;
    }
    return this.#worker;
  }

  #fail(reason) {
    for (const { reject } of this.#waiting.values()) reject(new WorkerFailure(reason));
    this.#waiting.clear();
  }
}

class WorkerFailure extends Error {}

function base64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

function hex(bytes) {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

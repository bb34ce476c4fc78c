/**
 * Sends an upload's segments to the object store itself, with presigned URLs.
 *
 * Guarantee: a segment is sent with a digest that the store compares. Grants are requested as they are needed and again
 * when they have expired. After an interruption, `complete` says what is missing, so only that is sent. Ends when the
 * server has confirmed that the store holds everything.
 */

import { SluiceError } from "./errors.js";
import { putBlob, withRetries } from "./requests.js";

const BATCH = 100;
/** A grant is not used when it expires within this time. */
const MARGIN_SECONDS = 30;
const MOST_ROUNDS = 5;
const MOST_REFUSALS = 3;

export class DirectSender {
  #grants = new Map();
  #requesting = null;
  #refusals = 0;

  /** @param upload The `Upload`, whose connection, file and progress are used. */
  constructor(upload, connection) {
    this.upload = upload;
    this.connection = connection;
    if (upload.view.grants) this.#keep(upload.view.grants);
  }

  /** Resolves with the upload as `complete` returned it. `resumed`: some segments may be in the store already. */
  async run(signal, resumed) {
    const { upload } = this;
    let missing = resumed ? null : numbers(upload.view.missing_segments);
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      if (missing !== null) await this.#sendAll(missing, signal);
      try {
        return await this.connection.json("POST", `${upload.path}/complete`, { signal, upload });
      } catch (error) {
        if (error.code !== "SEGMENTS_MISSING") throw error;
        missing = numbers(error.detail.missing);
        upload.keepOnly(new Set(missing));
      }
    }
    throw new SluiceError("SEGMENTS_NOT_KEPT");
  }

  async #sendAll(missing, signal) {
    const waiting = [...missing];
    const stop = new AbortController();
    const inner = AbortSignal.any ? AbortSignal.any([signal, stop.signal]) : signal;
    const lane = async () => {
      while (waiting.length > 0) {
        const release = await this.connection.slots.take(inner);
        try {
          const number = waiting.shift();
          if (number !== undefined) await this.#send(number, waiting, inner);
        } finally {
          release();
        }
      }
    };
    const lanes = Array.from({ length: Math.min(this.connection.options.segments, missing.length) }, lane);
    try {
      await Promise.all(lanes);
    } catch (error) {
      stop.abort(error);
      await Promise.allSettled(lanes);
      throw error;
    }
  }

  async #send(number, waiting, signal) {
    const { upload, connection } = this;
    const blob = upload.slice(number);
    let digest = null;
    await withRetries(async () => {
      const grant = await this.#grant(number, waiting, signal);
      digest ??= await connection.digests.forStore(blob, grant.url);
      try {
        await putBlob(connection.fetch, grant.method, grant.url, {
          headers: { ...grant.headers, ...digest },
          blob,
          signal,
          onProgress: (bytes) => upload.underWay(number, bytes),
        });
        this.#refusals = 0;
      } catch (error) {
        upload.underWay(number, 0);
        // The URL has expired, or was revoked: the next attempt uses a new one.
        this.#grants.delete(number);
        if ([400, 401, 403].includes(error.status) && (this.#refusals += 1) <= MOST_REFUSALS) error.retryable = true;
        throw error;
      }
    }, { signal, giveUpAfter: connection.options.giveUpAfter, onRetry: upload.onRetry });
    upload.accepted(number);
  }

  async #grant(number, waiting, signal) {
    const usable = () => {
      const grant = this.#grants.get(number);
      return grant && grant.until > performance.now() ? grant : null;
    };
    while (!usable()) {
      this.#requesting ??= this.#request([number, ...waiting].slice(0, BATCH), signal).finally(() => {
        this.#requesting = null;
      });
      await this.#requesting;
    }
    return usable();
  }

  async #request(wanted, signal) {
    const { upload } = this;
    const body = { segments: wanted.sort((a, b) => a - b).map((number) => [number, number]) };
    this.#keep(await this.connection.json("POST", `${upload.path}/grants`, { body, signal, upload }));
  }

  #keep(grants) {
    const until = performance.now() + Math.max(1, grants.expires_in - MARGIN_SECONDS) * 1000;
    for (const grant of grants.segments) this.#grants.set(grant.number, { ...grant, until });
  }
}

function numbers(ranges) {
  return ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, n) => first + n));
}

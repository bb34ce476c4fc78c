/**
 * Sends the missing segments of one upload to the gateway, several at once: those that it wants first, and no faster than
 * its window allows.
 *
 * Guarantee: every segment is accepted once, or the round ends because the upload's status has changed or an error is
 * final. What the server loses meanwhile is sent again. While there is room for no segment, no slot is held.
 */

import { follow, ENDED } from "./following.js";
import { anySignal, putBlob, sleep, withRetries } from "./requests.js";
import { SegmentQueue } from "./segment-queue.js";

/** A segment refused with one of these says that the upload's status has changed. */
const STATUS_CHANGED = new Set(["UPLOAD_WAITING", "UPLOAD_ENDED", "UPLOAD_EXPIRED", "UPLOAD_DEADLINE", "UPLOAD_CANCELLED"]);

const seconds = () => performance.now() / 1000;

export class GatewaySender {
  #queue;
  #digests = new Map();
  #changed = () => {};

  constructor(upload, connection) {
    this.upload = upload;
    this.connection = connection;
    const missing = upload.view.missing_segments.reduce((sum, [first, last]) => sum + last - first + 1, 0);
    this.follows = missing > 1;
    this.#queue = new SegmentQueue(upload.view, this.follows);
  }

  /** True: every segment was accepted. False: the status has changed; the upload has to be looked up. */
  async run(signal) {
    const stop = new AbortController();
    const inner = anySignal([signal, stop.signal]);
    const inFlight = new Set();
    let outcome = true;
    let failure = null;
    const end = (error) => {
      if (stop.signal.aborted) return;
      if (STATUS_CHANGED.has(error?.code)) outcome = false;
      else failure = error;
      stop.abort();
    };
    const watching = this.follows ? this.#watch(inner, () => end({ code: "UPLOAD_WAITING" })) : null;
    watching?.catch(() => {}); // without events the round goes on; final errors are those of segments
    try {
      for (let number; (number = await this.#next(inner)) !== null; ) {
        const [claimed, release] = number;
        const sending = this.#send(claimed, inner).catch(end).finally(() => {
          release();
          inFlight.delete(sending);
          this.#changed();
        });
        inFlight.add(sending);
      }
    } catch (error) {
      if (!stop.signal.aborted) end(error);
    } finally {
      stop.abort();
      await Promise.allSettled([...inFlight, watching]);
    }
    signal.throwIfAborted();
    if (failure) throw failure;
    return outcome;
  }

  /** [number, release] of the next segment, in flight and with a slot; null: all were accepted. */
  async #next(signal) {
    const queue = this.#queue;
    for (;;) {
      signal.throwIfAborted();
      if (queue.isDone) return null;
      const changed = new Promise((resolve) => (this.#changed = resolve));
      if (queue.peek(seconds()) !== null) {
        const release = await this.connection.slots.take(signal);
        const number = queue.claim(seconds());
        if (number !== null) return [number, release];
        release();
        continue;
      }
      const pause = queue.pause(seconds());
      const timer = new AbortController();
      const waiting = anySignal([signal, timer.signal]);
      await Promise.race([changed, sleep(pause ?? 3600, waiting).catch(() => {})]);
      timer.abort();
    }
  }

  async #send(number, signal) {
    const { upload, connection } = this;
    const queue = this.#queue;
    const blob = upload.slice(number);
    const digest = this.#digests.get(number) ?? (await connection.digests.forGateway(blob, connection.options.md5));
    try {
      const text = await withRetries(async () => {
        try {
          return await putBlob(connection.fetch, "PUT", connection.url(`${upload.path}/segments/${number}`), {
            headers: { ...(await connection.authorization(upload)), ...digest },
            blob,
            signal,
            onProgress: (bytes) => upload.underWay(number, bytes),
          });
        } catch (error) {
          upload.underWay(number, 0);
          await connection.renewed(error, upload, signal);
          throw error;
        }
      }, { signal, giveUpAfter: connection.options.giveUpAfter, onRetry: upload.onRetry });
      this.#digests.delete(number);
      queue.accepted(number, seconds(), JSON.parse(text).data.wanted_segments);
      upload.accepted(number);
    } catch (error) {
      if (error?.code !== "SEGMENT_WINDOW_FULL") throw error;
      this.#digests.set(number, digest);
      queue.refused(number, seconds() + (error.retryAfter ?? 1));
      upload.windowFull(number);
    }
  }

  #watch(signal, onStatus) {
    return follow(this.upload.source(signal), signal, (view) => {
      this.upload.take(view);
      if (ENDED.has(view.status) || view.status === "waiting") {
        onStatus();
        return true;
      }
      for (const number of this.#queue.update(view, seconds())) this.upload.lost(number);
      this.#changed();
      return false;
    });
  }
}

/** Bytes of one upload that were sent, as far as this device and the server know. */

import { Rate } from "./limits.js";

const RECEIVES = new Set(["admitted", "receiving", "processing", "ready"]);

export class Progress {
  #size;
  #accepted = new Map();
  #underWay = new Map();
  #rate = new Rate();

  constructor(size) {
    this.#size = size;
  }

  get sent() {
    let sum = 0;
    for (const bytes of this.#accepted.values()) sum += bytes;
    for (const bytes of this.#underWay.values()) sum += bytes;
    return Math.min(sum, this.#size);
  }

  get rate() {
    return this.#rate.perSecond;
  }

  /** Take over what the server has received. Segments that this device sent a moment ago may not be in it yet. */
  take(view) {
    if (view.transport !== "gateway") {
      if (view.status !== "granted") this.keepOnly(view, new Set());
      return;
    }
    if (!RECEIVES.has(view.status)) return; // otherwise an empty list of missing segments says nothing
    const missing = new Set(view.missing_segments.flatMap(([a, b]) => Array.from({ length: b - a + 1 }, (_, n) => a + n)));
    for (let number = 1; number <= view.segment_count; number += 1) {
      if (!missing.has(number) && !this.#accepted.has(number)) this.#accepted.set(number, length(view, number));
    }
  }

  underWay(number, bytes) {
    if (bytes > 0) this.#underWay.set(number, bytes);
    else this.#underWay.delete(number);
    this.#sample();
  }

  accepted(number, bytes) {
    this.#underWay.delete(number);
    this.#accepted.set(number, bytes);
    this.#sample();
  }

  lost(number) {
    this.#accepted.delete(number);
    this.restart();
  }

  keepOnly(view, missing) {
    this.#accepted.clear();
    for (let number = 1; number <= view.segment_count; number += 1) {
      if (!missing.has(number)) this.#accepted.set(number, length(view, number));
    }
    this.restart();
  }

  /** Forget the rate: sending begins, or was interrupted. */
  restart() {
    this.#rate.reset();
  }

  #sample() {
    this.#rate.add(this.sent, performance.now() / 1000);
  }
}

function length(view, number) {
  return Math.min(view.segment_size, view.size - (number - 1) * view.segment_size);
}

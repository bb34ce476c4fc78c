/** A counting semaphore: first come, first served. A waiter whose signal is aborted leaves the line. */
export class Semaphore {
  #free;
  #waiting = [];

  constructor(count) {
    this.#free = count;
  }

  /** Resolves with a function that gives it back; calling that function again does nothing. */
  async take(signal) {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
    } else {
      await new Promise((resolve, reject) => {
        const waiter = () => {
          signal.removeEventListener("abort", leave);
          resolve();
        };
        const leave = () => {
          this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
          reject(signal.reason);
        };
        signal.addEventListener("abort", leave, { once: true });
        this.#waiting.push(waiter);
      });
    }
    return this.#release();
  }

  /** As `take`, at once; null where none is free. */
  tryTake() {
    if (this.#free === 0) return null;
    this.#free -= 1;
    return this.#release();
  }

  #release() {
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    };
  }
}

/** Bytes per second over the last seconds, and from it the time that is left. */
export class Rate {
  #samples = [];

  add(bytes, now) {
    this.#samples.push([now, bytes]);
    while (this.#samples.length > 2 && now - this.#samples[0][0] > 8) this.#samples.shift();
  }

  reset() {
    this.#samples = [];
  }

  /** Bytes per second; null while it is not known. */
  get perSecond() {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || last[0] - first[0] < 0.5) return null;
    return Math.max(0, (last[1] - first[1]) / (last[0] - first[0]));
  }
}

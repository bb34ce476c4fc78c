/**
 * Which segment of an upload is sent next. Pure; times are seconds of any clock.
 *
 * Guarantee: segments that the server wants come first, then the lowest number; while the metadata is read, the last
 * segment follows the first one, since many files have their index there. After SEGMENT_WINDOW_FULL nothing is offered
 * before the time that the server asked for, except wanted segments, which have room of their own. A segment that the
 * server had accepted and lists as missing again is offered again.
 */

/** A description that the server wrote before it accepted a segment arrives at most this much later. */
const STALE_SECONDS = 2;
const MOST_REPEATS = 5;
/** While the metadata is read, the first segments are sent one at a time: at most so many, and this part of the file. */
const MOST_ONE_AT_A_TIME = 8;
const PART_ONE_AT_A_TIME = 0.08;

export class SegmentQueue {
  /** @param view The upload. @param live Whether `update` is called whenever the upload changes. */
  constructor(view, live) {
    this.size = view.size;
    this.segmentSize = view.segment_size;
    this.count = view.segment_count;
    this.live = live;
    this.inFlight = new Set();
    this.wasRefused = false;
    this.pending = this.#numbers(view.missing_segments);
    this.next = 1;
    this.wanted = [];
    this.notBefore = new Map();
    this.closedUntil = -Infinity;
    this.acceptedAt = new Map();
    this.repeats = new Map();
    this.lastFollowsFirst = live && view.window_size === null;
    this.oneAtATime = live ? Math.min(MOST_ONE_AT_A_TIME, Math.floor(this.count * PART_ONE_AT_A_TIME)) : 0;
    this.#observeReading(view);
    this.want(view.wanted_segments);
  }

  get isDone() {
    return this.pending.size === 0 && this.inFlight.size === 0;
  }

  offset(number) {
    return (number - 1) * this.segmentSize;
  }

  length(number) {
    return Math.min(this.segmentSize, this.size - this.offset(number));
  }

  want(ranges) {
    this.wanted = [...this.#numbers(ranges)].sort((a, b) => a - b);
  }

  /** The segment to send now, or null. */
  peek(now) {
    if (this.live && this.inFlight.size > 0 && this.acceptedAt.size < this.oneAtATime) return null;
    for (const number of this.wanted) {
      if (this.pending.has(number) && (this.notBefore.get(number) ?? -Infinity) <= now) return number;
    }
    // Not into a window: where the reader does not want the last segment, it would be released there.
    if (this.lastFollowsFirst && !this.pending.has(1) && !this.wasRefused && this.pending.has(this.count)) {
      return this.count;
    }
    if (this.pending.size === 0 || now < this.closedUntil) return null;
    while (!this.pending.has(this.next)) this.next += 1;
    return this.next;
  }

  claim(now) {
    const number = this.peek(now);
    if (number !== null) {
      this.pending.delete(number);
      this.inFlight.add(number);
    }
    return number;
  }

  /** For how many seconds `peek` stays null if nothing changes; null: until something changes. */
  pause(now) {
    if (this.pending.size === 0 || (this.live && this.inFlight.size > 0 && this.acceptedAt.size < this.oneAtATime)) {
      return null;
    }
    const times = this.wanted.filter((n) => this.pending.has(n) && this.notBefore.has(n)).map((n) => this.notBefore.get(n));
    return Math.max(0, Math.min(this.closedUntil, ...times) - now);
  }

  accepted(number, now, wanted = []) {
    this.inFlight.delete(number);
    this.notBefore.delete(number);
    this.acceptedAt.set(number, now);
    if (wanted.length > 0) this.want(wanted);
  }

  refused(number, until) {
    this.wasRefused = true;
    this.notBefore.set(number, until);
    this.closedUntil = Math.max(this.closedUntil, until);
    this.putBack(number);
  }

  putBack(number) {
    this.inFlight.delete(number);
    this.pending.add(number);
    this.next = Math.min(this.next, number);
  }

  /** Take over a description of the upload. Returns the segments that the server had accepted and has lost. */
  update(view, now) {
    const lost = [...this.#numbers(view.missing_segments)].filter(
      (number) =>
        !this.pending.has(number) && !this.inFlight.has(number) &&
        now - (this.acceptedAt.get(number) ?? -Infinity) >= STALE_SECONDS &&
        (this.repeats.get(number) ?? 0) < MOST_REPEATS,
    );
    for (const number of lost) {
      this.repeats.set(number, (this.repeats.get(number) ?? 0) + 1);
      this.putBack(number);
    }
    this.want(view.wanted_segments);
    this.#observeReading(view);
    return lost;
  }

  #observeReading(view) {
    const states = ["probe", "thumbnail"].map((name) => view.stages[name]?.state).filter(Boolean);
    const waitsForAll = states.includes("idle") && view.wanted_segments.length === 0;
    if (waitsForAll || !states.some((state) => ["pending", "queued", "running", "idle"].includes(state))) {
      this.oneAtATime = 0;
      this.lastFollowsFirst = false;
    }
  }

  #numbers(ranges) {
    const found = new Set();
    for (const [first, last] of ranges) {
      for (let number = Math.max(1, first); number <= Math.min(last, this.count); number += 1) found.add(number);
    }
    return found;
  }
}

/**
 * Digests of a Blob: sha-256 by the platform; crc32c where pages have no crypto.subtle (http); md5 for object stores.
 */

const BLOCK_BYTES = 4 * 1024 * 1024;

/** The bytes of `algorithm` ("sha-256", "crc32c" or "md5") over a Blob. Rejects with the Blob's error. */
export async function digestOf(blob, algorithm) {
  if (algorithm === "sha-256") {
    return new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
  }
  const hash = algorithm === "md5" ? new Md5() : new Crc32c();
  for (let offset = 0; offset < blob.size; offset += BLOCK_BYTES) {
    hash.update(new Uint8Array(await blob.slice(offset, offset + BLOCK_BYTES).arrayBuffer()));
  }
  return hash.digest();
}

/** Castagnoli's CRC (RFC 3720), four bytes at a time. */
class Crc32c {
  static #tables = null;
  #crc = 0xffffffff;

  static tables() {
    if (Crc32c.#tables) return Crc32c.#tables;
    const tables = Array.from({ length: 4 }, () => new Int32Array(256));
    for (let n = 0; n < 256; n += 1) {
      let crc = n;
      for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
      tables[0][n] = crc;
    }
    for (let n = 0; n < 256; n += 1) {
      for (let t = 1; t < 4; t += 1) tables[t][n] = (tables[t - 1][n] >>> 8) ^ tables[0][tables[t - 1][n] & 255];
    }
    Crc32c.#tables = tables;
    return tables;
  }

  update(bytes) {
    const [t0, t1, t2, t3] = Crc32c.tables();
    let crc = this.#crc;
    let at = 0;
    for (const end = bytes.length - 3; at < end; at += 4) {
      crc ^= bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
      crc = t3[crc & 255] ^ t2[(crc >>> 8) & 255] ^ t1[(crc >>> 16) & 255] ^ t0[crc >>> 24];
    }
    for (; at < bytes.length; at += 1) crc = (crc >>> 8) ^ t0[(crc ^ bytes[at]) & 255];
    this.#crc = crc;
  }

  digest() {
    const found = new Uint8Array(4);
    new DataView(found.buffer).setUint32(0, ~this.#crc >>> 0);
    return found;
  }
}

const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
const SINES = Int32Array.from({ length: 64 }, (_, n) => Math.floor(Math.abs(Math.sin(n + 1)) * 2 ** 32) | 0);

/** RFC 1321: object stores compare it, and crypto.subtle does not have it. No protection against an attacker. */
class Md5 {
  #state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
  #rest = new Uint8Array(64);
  #filled = 0;
  #length = 0;
  #words = new Int32Array(16);

  update(bytes) {
    this.#length += bytes.length;
    let at = 0;
    if (this.#filled > 0) {
      at = Math.min(64 - this.#filled, bytes.length);
      this.#rest.set(bytes.subarray(0, at), this.#filled);
      this.#filled += at;
      if (this.#filled < 64) return;
      this.#block(this.#rest, 0);
      this.#filled = 0;
    }
    for (; at + 64 <= bytes.length; at += 64) this.#block(bytes, at);
    this.#rest.set(bytes.subarray(at));
    this.#filled = bytes.length - at;
  }

  digest() {
    const bits = this.#length * 8;
    const padding = new Uint8Array((this.#filled < 56 ? 64 : 128) - this.#filled);
    padding[0] = 0x80;
    const view = new DataView(padding.buffer);
    view.setUint32(padding.length - 8, bits >>> 0, true);
    view.setUint32(padding.length - 4, Math.floor(bits / 2 ** 32), true);
    this.update(padding);
    const found = new Uint8Array(16);
    this.#state.forEach((word, n) => new DataView(found.buffer).setInt32(4 * n, word, true));
    return found;
  }

  #block(bytes, at) {
    const words = this.#words;
    for (let n = 0, p = at; n < 16; n += 1, p += 4) {
      words[n] = bytes[p] | (bytes[p + 1] << 8) | (bytes[p + 2] << 16) | (bytes[p + 3] << 24);
    }
    let [a, b, c, d] = this.#state;
    for (let n = 0; n < 64; n += 1) {
      const round = n >> 4;
      let mixed;
      let word;
      if (round === 0) [mixed, word] = [(b & c) | (~b & d), n];
      else if (round === 1) [mixed, word] = [(d & b) | (~d & c), (5 * n + 1) & 15];
      else if (round === 2) [mixed, word] = [b ^ c ^ d, (3 * n + 5) & 15];
      else [mixed, word] = [c ^ (b | ~d), (7 * n) & 15];
      const sum = (a + mixed + SINES[n] + words[word]) | 0;
      const shift = SHIFTS[round * 4 + (n & 3)];
      a = d;
      d = c;
      c = b;
      b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0;
    }
    this.#state[0] += a;
    this.#state[1] += b;
    this.#state[2] += c;
    this.#state[3] += d;
  }
}

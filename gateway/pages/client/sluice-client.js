/**
 * Uploads files to Sluice from browsers and node: in segments, in parallel, resumable.
 *
 *     import { SluiceClient } from "sluice-client";
 *     const client = new SluiceClient({ endpoint: "https://uploads.example", credential: permit });
 *     const upload = client.upload(file);
 *     upload.addEventListener("progress", () => show(upload.bytesSent / upload.bytesTotal));
 *     const content = await upload.done;
 *
 * Guarantee: `sluice-client.d.ts` describes everything that is public.
 */

import { Connection } from "./connection.js";
import { SluiceError } from "./errors.js";
import { IndexedDBStore, MemoryStore } from "./resume-store.js";
import { Upload } from "./upload.js";

export { SluiceError } from "./errors.js";
export { IndexedDBStore, MemoryStore } from "./resume-store.js";
export { Upload } from "./upload.js";

/** Characters that the server accepts in no file name. */
const NOT_IN_NAMES = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069/\\]/g;
const LONGEST_NAME = 255;

export class SluiceClient {
  #connection;

  constructor({
    endpoint, credential = null, transport = "gateway", segments = 5, files = 3, store, account = "", giveUpAfter = 86_400,
    md5 = false, fetch,
  }) {
    this.#connection = new Connection({
      endpoint: String(endpoint).replace(/\/+$/, ""),
      credential, transport, segments, files, account, giveUpAfter, md5, fetch,
      store: store ?? (globalThis.indexedDB ? new IndexedDBStore() : new MemoryStore()),
    });
  }

  /** Begin, or continue, to upload a File or Blob. */
  upload(file, { filename = file.name, path = file.webkitRelativePath || "", contentType, metadata = {}, transport,
    lastModified = file.lastModified ?? 0, handle, signal } = {}) {
    if (!filename) throw new TypeError("filename is required: a Blob has no name");
    if (file.size === 0) throw new SluiceError("FILE_EMPTY");
    return held(new Upload(this.#connection, file, {
      filename: acceptedName(filename), path, metadata, lastModified, handle, signal,
      contentType: contentType || file.type || "application/octet-stream",
      transport: transport ?? this.#connection.options.transport,
    }));
  }

  /** Follow an unfinished upload without its file, as far as that goes: it fails with FILE_NEEDED when bytes are
   * missing. */
  follow(record, options = {}) {
    const file = {
      size: record.size,
      type: record.contentType,
      slice() {
        throw new SluiceError("FILE_NEEDED");
      },
    };
    return this.upload(file, { ...fileOptions(record), ...options });
  }

  /** Continue an unfinished upload with its file. Throws FILE_DIFFERS where it is another file. */
  continue(record, file, options = {}) {
    if (!isFileOf(record, file)) throw new SluiceError("FILE_DIFFERS");
    return this.upload(file, { ...fileOptions(record), ...options });
  }

  /** Records of uploads that were not finished, oldest first: their files have to be passed to `upload` again. */
  async unfinished() {
    const { store, endpoint, account } = this.#connection.options;
    const elsewhere = await heldLocks();
    return (await store.list()).filter(
      (record) => record.server === endpoint && record.account === account && !elsewhere.has(lockName(record.id)),
    );
  }

  /** What the server says of an unfinished upload; null where it does not know it, or not any more. */
  async look(record) {
    if (!record.uploadId) return null;
    const upload = { token: record.token, renewToken: async () => false };
    const signal = AbortSignal.timeout(15_000);
    return this.#connection.json("GET", `/v1/uploads/${record.uploadId}`, { signal, upload, quiet: true }).catch(() => null);
  }

  /** Cancel an unfinished upload without its file. */
  async discard(record) {
    const { store } = this.#connection.options;
    await store.delete(record.id);
    if (!record.uploadId) return;
    const upload = { token: record.token, renewToken: async () => false };
    await this.#connection
      .json("DELETE", `/v1/uploads/${record.uploadId}`, { signal: AbortSignal.timeout(30_000), upload, quiet: true })
      .catch(() => {});
  }

  /** Release the worker. Uploads that run continue. */
  close() {
    this.#connection.digests.close();
  }
}

function fileOptions({ filename, path, contentType, metadata, transport, lastModified, handle }) {
  return { filename, path, contentType, metadata, transport, lastModified, handle };
}

function isFileOf(record, file) {
  return file.size === record.size && (file.lastModified ?? 0) === record.lastModified;
}

const lockName = (id) => `sluice-client:${id}`;

/** Other tabs do not offer to continue an upload that runs in this one. The lock ends with the page. */
function held(upload) {
  globalThis.navigator?.locks?.request?.(lockName(upload.fingerprint), { ifAvailable: true }, () =>
    upload.done.then(() => {}, () => {}),
  );
  return upload;
}

async function heldLocks() {
  const found = await globalThis.navigator?.locks?.query?.();
  return new Set((found?.held ?? []).map((lock) => lock.name));
}

/** The name as the server accepts it: at most 255 characters, the extension kept. */
function acceptedName(filename) {
  const name = filename.replace(NOT_IN_NAMES, "_");
  const characters = [...name];
  if (characters.length <= LONGEST_NAME) return name;
  const ending = [...(/\.[^.]{1,16}$/.exec(name)?.[0] ?? "")];
  return [...characters.slice(0, LONGEST_NAME - ending.length), ...ending].join("");
}

/**
 * What survives a reload: one record per unfinished upload. A store has the methods of `MemoryStore`.
 *
 * Guarantee: a record is written before its upload is created, with the Idempotency-Key of that request, so an
 * interruption at any moment never creates a second upload of the same file. Records contain the upload's token, which
 * permits only this one upload, and no key and no permit.
 */

/** Records older than this are of no use: no server keeps an unfinished upload for so long. */
const KEEP_MILLISECONDS = 14 * 86_400_000;

/** Two files with the same fingerprint continue the same upload. */
export function fingerprint({ server, account, filename, path, size, lastModified, contentType, transport, metadata }) {
  return JSON.stringify([server, account, path || filename, size, lastModified, contentType, transport, metadata]);
}

/** For node and tests: keeps records as long as the process. */
export class MemoryStore {
  #records = new Map();

  async get(id) {
    return this.#records.get(id) ?? null;
  }

  async put(record) {
    this.#records.set(record.id, { ...record });
  }

  async delete(id) {
    this.#records.delete(id);
  }

  async list() {
    return [...this.#records.values()];
  }
}

/** Keeps records in IndexedDB; in memory where that is not allowed (private windows). */
export class IndexedDBStore {
  #name;
  #opening = null;
  #memory = new MemoryStore();

  constructor(name = "sluice-uploads") {
    this.#name = name;
  }

  get(id) {
    return this.#run("readonly", (records) => records.get(id), (memory) => memory.get(id)).then((found) => found ?? null);
  }

  async put(record) {
    try {
      await this.#run("readwrite", (records) => records.put(record), (memory) => memory.put(record));
    } catch (error) {
      if (error?.name !== "DataCloneError" || !record.handle) throw error;
      await this.put({ ...record, handle: undefined });
    }
  }

  delete(id) {
    return this.#run("readwrite", (records) => records.delete(id), (memory) => memory.delete(id));
  }

  /** Records of unfinished uploads, oldest first; outdated ones are deleted. */
  async list() {
    const all = await this.#run("readonly", (records) => records.getAll(), (memory) => memory.list());
    const [current, outdated] = [[], []];
    for (const record of all) (Date.now() - record.createdAt < KEEP_MILLISECONDS ? current : outdated).push(record);
    for (const record of outdated) await this.delete(record.id);
    return current.sort((a, b) => a.createdAt - b.createdAt);
  }

  async #run(mode, work, otherwise) {
    const database = await this.#open();
    if (database === null) return otherwise(this.#memory);
    return new Promise((resolve, reject) => {
      const transaction = database.transaction("uploads", mode);
      const request = work(transaction.objectStore("uploads"));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error ?? request.error);
    });
  }

  #open() {
    this.#opening ??= new Promise((resolve) => {
      try {
        const request = indexedDB.open(this.#name, 1);
        request.onupgradeneeded = () => request.result.createObjectStore("uploads", { keyPath: "id" });
        request.onsuccess = () => {
          request.result.onversionchange = () => request.result.close();
          resolve(request.result);
        };
        request.onerror = () => resolve(null);
      } catch {
        resolve(null);
      }
    });
    return this.#opening;
  }
}

/**
 * Uploads one file with `sluice-client` and reports each step as a line of JSON; for tests that interrupt it.
 *
 * The argument is JSON: {client, endpoint, credential, file, transport, store, holdAfter}. With `holdAfter`, no more than
 * so many segments are sent before a line arrives on standard input. `store`: a file that keeps records of the uploads.
 */
import { openAsBlob, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { createInterface } from "node:readline";

const options = JSON.parse(process.argv[2]);
const { SluiceClient, MemoryStore } = await import(options.client);

class FileStore extends MemoryStore {
  constructor(path) {
    super();
    this.path = path;
  }

  #records() {
    try {
      return JSON.parse(readFileSync(this.path, "utf8"));
    } catch {
      return {};
    }
  }

  async get(id) {
    return this.#records()[id] ?? null;
  }

  async put(record) {
    writeFileSync(this.path, JSON.stringify({ ...this.#records(), [record.id]: record }));
  }

  async delete(id) {
    const { [id]: _, ...rest } = this.#records();
    writeFileSync(this.path, JSON.stringify(rest));
  }

  async list() {
    return Object.values(this.#records());
  }
}

const report = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
let go;
const allowed = new Promise((resolve) => (go = resolve));
createInterface({ input: process.stdin }).on("line", () => go());

let [segments, held] = [0, false];
async function countingFetch(url, init) {
  if (init?.method === "PUT" && options.holdAfter !== undefined && segments >= options.holdAfter) {
    if (!held) report({ event: "held", segments, id: upload.id });
    held = true;
    await allowed;
  }
  const isSegment = init?.method === "PUT";
  if (isSegment) segments += 1;
  return fetch(url, init);
}

const client = new SluiceClient({
  endpoint: options.endpoint, credential: options.credential, transport: options.transport, segments: 2,
  fetch: countingFetch, store: options.store ? new FileStore(options.store) : new MemoryStore(),
});
const upload = client.upload(await openAsBlob(options.file), {
  filename: basename(options.file), lastModified: statSync(options.file).mtimeMs,
});
let lastProblem;
upload.addEventListener("change", () => {
  const code = upload.problem?.error.code;
  if (code !== lastProblem && code) report({ event: "problem", code });
  lastProblem = code;
});
upload.addEventListener("media", () => report({ event: "media", kind: upload.view.media.kind, sent: upload.bytesSent }));
try {
  const content = await upload.done;
  report({ event: "ready", id: content.id, segments, thumbnail: (await upload.thumbnail())?.size ?? 0 });
} catch (error) {
  report({ event: "failed", code: error.code, message: error.message, segments });
}
client.close();
process.exit(0);

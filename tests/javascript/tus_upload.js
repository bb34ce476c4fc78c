// Uploads one file with tus-js-client: node tus_upload.js '{"endpoint": ..., "file": ..., "options": {...}}'.
// With the option `stream`, the file is read as a stream whose length the client does not know. (Of an fs.ReadStream it
// opens the file itself.)
// Prints one JSON object a line: `progress` with the accepted bytes, and at the end `done` or `error`.

import { createReadStream, readFileSync } from "node:fs";
import { PassThrough } from "node:stream";

import * as tus from "tus-js-client";

const { endpoint, file, options } = JSON.parse(process.argv[2]);
const print = (event) => process.stdout.write(JSON.stringify(event) + "\n");
const methods = [];

const upload = new tus.Upload(options.stream ? createReadStream(file).pipe(new PassThrough()) : readFileSync(file), {
  endpoint,
  retryDelays: [0, 100, 200, 400, 800, 1600, 3200],
  ...options,
  chunkSize: options.chunkSize ?? Infinity,
  metadata: { filename: "film.mp4", filetype: "video/mp4", ...options.metadata },
  onBeforeRequest: (request) => { methods.push(request.getMethod()); },
  onUploadUrlAvailable: () => print({ event: "created", url: upload.url }),
  onProgress: (sent) => print({ event: "progress", sent }),
  onSuccess: () => print({ event: "done", url: upload.url, methods }),
  onError: (error) => { print({ event: "error", message: String(error) }); process.exit(1); },
});
upload.start();

// Uploads files with tus-js-client, all at once, each in one PATCH: node tus_send.js '{"endpoint": ..., "files": [...]}'.
// The client keeps its defaults, so it alone decides which requests it repeats, and when. Prints one JSON object per
// file when it has ended: `url`, or `error` if the client gave up; milliseconds of the clock before its first request
// and after its last response; the status of each response; the refusals, each as method, status and code of the error;
// and how many requests got no response.

import { createReadStream } from "node:fs";
import { basename } from "node:path";

import * as tus from "tus-js-client";

const { endpoint, files } = JSON.parse(process.argv[2]);

// Sluice's errors have a code; those of other servers, and those without a body, have none.
function codeOf(response) {
  try {
    return JSON.parse(response.getBody()).error.code;
  } catch {
    return "";
  }
}

for (const file of files) {
  let requests = 0;
  const [statuses, refusals] = [[], []];
  const began = Date.now();
  const ended = (more) => {
    const unanswered = requests - statuses.length;
    const times = { began, ended: Date.now() };
    process.stdout.write(JSON.stringify({ file, ...times, statuses, refusals, unanswered, ...more }) + "\n");
  };
  const upload = new tus.Upload(createReadStream(file), {
    endpoint,
    metadata: { filename: basename(file), filetype: "video/mp4" },
    onBeforeRequest: () => { requests += 1; },
    onAfterResponse: (request, response) => {
      const status = response.getStatus();
      statuses.push(status);
      if (status >= 400) refusals.push([request.getMethod(), status, codeOf(response)].join(" ").trim());
    },
    onSuccess: () => ended({ url: upload.url }),
    onError: (error) => ended({ error: String(error) }),
  });
  upload.start();
}

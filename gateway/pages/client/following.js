/**
 * Follows an upload: by its event stream, or by polling where the stream is taken or broken.
 *
 * A stream occupies one of the six connections that a browser opens to an HTTP/1.1 origin, so a client has only one; its
 * other uploads are polled, more slowly the longer nothing changes. The stream is read with fetch, which can send the
 * credential in a header; EventSource would need a ticket in the URL.
 */

import { errorOfResponse } from "./errors.js";
import { anySignal, sleep } from "./requests.js";

const FIRST_POLL_SECONDS = 0.5;
const LONGEST_POLL_SECONDS = 5;
/** The gateway sends a comment at least every 15 s. */
const SILENCE_SECONDS = 45;

export const ENDED = new Set(["ready", "joined", "failed", "expired", "cancelled"]);

/**
 * Call `onView` with the upload now and after each change, until it returns true. Rejects with a final
 * SluiceError.
 * @param {{view: () => Promise<object>, openStream: (signal: AbortSignal) => Promise<Response>,
 *          takeStream: () => (() => void) | null}} source
 */
export async function follow(source, signal, onView) {
  let seconds = FIRST_POLL_SECONDS;
  let last = "";
  for (;;) {
    const release = source.takeStream();
    if (release !== null) {
      try {
        if (await readStream(source, signal, onView)) return;
      } catch {
        // A stream that is refused is no failure: the request below says why.
        signal.throwIfAborted();
      } finally {
        release();
      }
    }
    const view = await source.view();
    if (onView(view)) return;
    const now = JSON.stringify(view);
    seconds = now === last ? Math.min(LONGEST_POLL_SECONDS, seconds * 1.5) : FIRST_POLL_SECONDS;
    last = now;
    await sleep(seconds * (0.75 + Math.random() / 2), signal, true);
  }
}

/** True: `onView` returned true. False: the stream ended before. */
async function readStream(source, signal, onView) {
  const stop = new AbortController();
  let timer;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => stop.abort(), SILENCE_SECONDS * 1000);
  };
  heard();
  try {
    const response = await source.openStream(anySignal([signal, stop.signal]));
    if (response.status !== 200) {
      throw errorOfResponse(response.status, await response.text(), response.headers.get("Retry-After"));
    }
    for await (const { event, data } of eventsOf(response.body, heard)) {
      if (event === "reconnect") return false;
      if (event === "upload" && onView(JSON.parse(data))) return true;
    }
    return false;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

/** Server-sent events (WHATWG HTML, section 9.2.6), as far as the gateway uses them. */
async function* eventsOf(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      heard();
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const fields = block.split("\n").map((line) => /^(event|data): ?(.*)$/.exec(line)).filter(Boolean);
        const data = fields.filter(([, name]) => name === "data").map(([, , value]) => value);
        if (data.length > 0) {
          yield { event: fields.find(([, name]) => name === "event")?.[2] ?? "message", data: data.join("\n") };
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/**
 * Requests: JSON in the server's envelope, and bodies of bytes with progress. Repeats what may succeed later.
 *
 * Guarantee: a request ends: with data, with a SluiceError, or with the signal's abort. Every request of this client may
 * be repeated: a creation has an Idempotency-Key, and a segment that the server has is not stored twice. While the
 * browser knows that it is offline, nothing is sent.
 */

import { SluiceError, errorOfResponse, isUnreachable, retryDelay } from "./errors.js";

const RESPONSE_SECONDS = 60;
const STALL_SECONDS = 60;
/** Without progress events (node), a body has to arrive within this time. */
const BODY_SECONDS = 900;

/**
 * Repeat `attempt` until it succeeds or its error is final.
 * @param {() => Promise<T>} attempt
 * @param {{signal: AbortSignal, giveUpAfter: number, onRetry?: (error: SluiceError, seconds: number) => void}} options
 * @template T
 */
export async function withRetries(attempt, { signal, giveUpAfter, onRetry }) {
  let firstFailure = null;
  for (let count = 1; ; count += 1) {
    try {
      await whenOnline(signal, onRetry);
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof SluiceError)) throw error;
      firstFailure ??= performance.now();
      const since = (performance.now() - firstFailure) / 1000;
      const seconds = retryDelay(error, count, since, giveUpAfter, Math.random());
      if (seconds === null) throw error;
      onRetry?.(error, seconds);
      await sleep(seconds, signal, isUnreachable(error));
    }
  }
}

/** A JSON request; resolves with `data` of the envelope (null for an empty body). */
export async function requestJson(fetcher, method, url, { headers = {}, body, signal }) {
  const response = await send(fetcher, url, {
    method,
    headers: body === undefined ? headers : { ...headers, "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  }, signal, RESPONSE_SECONDS);
  const text = await readText(response, signal);
  if (!response.ok) throw errorOfResponse(response.status, text, response.headers.get("Retry-After"));
  try {
    return text ? JSON.parse(text).data : null;
  } catch (cause) {
    throw new SluiceError(`HTTP_${response.status}`, "The response is not JSON: this is not a Sluice server.", { cause });
  }
}

/** A GET whose response is bytes. */
export async function requestBlob(fetcher, url, { headers = {}, signal }) {
  const response = await send(fetcher, url, { headers }, signal, RESPONSE_SECONDS);
  if (!response.ok) {
    throw errorOfResponse(response.status, await readText(response, signal), response.headers.get("Retry-After"));
  }
  return response.blob();
}

/**
 * PUT a Blob. `onProgress(bytes)` is called while it is sent, where the platform can tell (XMLHttpRequest). Resolves with
 * the response's text.
 */
export async function putBlob(fetcher, method, url, { headers, blob, signal, onProgress }) {
  try {
    return await (typeof XMLHttpRequest === "function" && fetcher === globalThis.fetch
      ? putByXhr(method, url, headers, blob, signal, onProgress)
      : putByFetch(fetcher, method, url, headers, blob, signal));
  } catch (error) {
    // A browser reports a file that has changed as a failed connection.
    if (error.code === "NETWORK") await requireReadable(blob);
    throw error;
  }
}

async function requireReadable(blob) {
  try {
    await blob.slice(0, 1).arrayBuffer();
  } catch (cause) {
    throw new SluiceError("FILE_CHANGED", undefined, { cause });
  }
}

async function putByFetch(fetcher, method, url, headers, blob, signal) {
  const response = await send(fetcher, url, { method, headers, body: blob }, signal, BODY_SECONDS);
  const text = await readText(response, signal);
  if (!response.ok) throw errorOfResponse(response.status, text, response.headers.get("Retry-After"));
  return text;
}

function putByXhr(method, url, headers, blob, signal, onProgress) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const request = new XMLHttpRequest();
    let timer;
    const stalled = () => {
      clearTimeout(timer);
      timer = setTimeout(() => end(() => reject(networkError("TIMEOUT")), true), STALL_SECONDS * 1000);
    };
    const aborted = () => end(() => reject(signal.reason), true);
    const end = (settle, abort = false) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
      settle();
      if (abort) request.abort();
    };
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      stalled();
      onProgress?.(event.loaded);
    };
    request.onload = () => end(() => {
      const { status, responseText } = request;
      if (status >= 200 && status < 300) resolve(responseText);
      else reject(errorOfResponse(status, responseText, request.getResponseHeader("Retry-After")));
    });
    request.onerror = () => end(() => reject(networkError("NETWORK")));
    signal.addEventListener("abort", aborted, { once: true });
    stalled();
    request.send(blob);
  });
}

async function send(fetcher, url, init, signal, seconds) {
  const timeout = AbortSignal.timeout(seconds * 1000);
  try {
    return await fetcher(url, { ...init, signal: anySignal([signal, timeout]), credentials: "omit", cache: "no-store" });
  } catch (cause) {
    signal.throwIfAborted();
    throw networkError(timeout.aborted ? "TIMEOUT" : "NETWORK", cause);
  }
}

async function readText(response, signal) {
  try {
    return await response.text();
  } catch (cause) {
    signal.throwIfAborted();
    throw networkError("NETWORK", cause);
  }
}

function networkError(code, cause) {
  return new SluiceError(code, undefined, { retryable: true, cause });
}

/** Resolves after `seconds`; earlier when the device comes back online, if `wakes`. Rejects with the signal's reason. */
export function sleep(seconds, signal, wakes = false) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const end = (settle) => () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      globalThis.removeEventListener?.("online", wake);
      settle();
    };
    const stop = end(() => reject(signal.reason));
    const wake = end(resolve);
    const timer = setTimeout(wake, seconds * 1000);
    signal.addEventListener("abort", stop, { once: true });
    if (wakes) globalThis.addEventListener?.("online", wake, { once: true });
  });
}

const isOffline = () => globalThis.navigator?.onLine === false;

async function whenOnline(signal, onRetry) {
  while (isOffline()) {
    onRetry?.(new SluiceError("OFFLINE", undefined, { retryable: true }), null);
    await sleep(30, signal, true);
  }
}

/** `AbortSignal.any`, which older browsers do not have. */
export function anySignal(signals) {
  if (AbortSignal.any) return AbortSignal.any(signals);
  const controller = new AbortController();
  for (const one of signals) {
    if (one.aborted) controller.abort(one.reason);
    else one.addEventListener("abort", () => controller.abort(one.reason), { once: true, signal: controller.signal });
  }
  return controller.signal;
}

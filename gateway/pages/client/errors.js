/**
 * The one error of this client, and what follows from it. Pure.
 *
 * Guarantee: every failure has a stable `code`: one of the server's error catalogue, `HTTP_<status>` for a response that
 * is not the server's own (a proxy's), or one of the client's codes below. Only what may succeed later is repeated.
 */

/** Codes of this client, with their messages. */
export const CLIENT_CODES = {
  NETWORK: "The server cannot be reached.",
  OFFLINE: "This device is offline.",
  TIMEOUT: "The server did not respond in time.",
  FILE_CHANGED: "The file was changed or removed while it was being sent. Choose it again.",
  FILE_DIFFERS: "This is not the same file: its size or its date differs.",
  FILE_EMPTY: "The file is empty.",
  FILE_NEEDED: "The file has to be chosen again before its upload can continue.",
  SEGMENTS_NOT_KEPT: "The server accepts segments of this file but still lists them as missing.",
  UNEXPECTED: "The upload client failed unexpectedly.",
  ABORTED: "The upload was stopped on this device.",
};

export class SluiceError extends Error {
  /**
   * @param {string} code
   * @param {string} [message]
   * @param {{status?: number, retryable?: boolean, retryAfter?: number|null, detail?: object, cause?: unknown}} [more]
   */
  constructor(code, message, more = {}) {
    super(message ?? CLIENT_CODES[code] ?? code, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = "SluiceError";
    this.code = code;
    this.status = more.status ?? 0;
    this.retryable = more.retryable ?? false;
    this.retryAfter = more.retryAfter ?? null;
    this.detail = more.detail ?? {};
  }
}

/** Limits of the server, which say when to try again: waiting for them is no failed attempt. */
const WAITS = new Set([
  "RATE_LIMITED", "QUEUE_FULL", "OWNER_LIMIT", "DAILY_LIMIT", "CONNECTION_LIMIT", "REQUEST_LIMIT", "STREAM_LIMIT",
  "DOWNLOAD_LIMIT", "HTTP_429",
]);

/** A connection that is missing says nothing about the upload: these are repeated for `giveUpAfter` seconds. */
const UNREACHABLE = new Set(["NETWORK", "OFFLINE", "TIMEOUT"]);

const ATTEMPTS = 12;
const ATTEMPTS_BY_CODE = { SEGMENT_DIGEST_WRONG: 3, SEGMENT_WINDOW_FULL: 1, UPLOAD_WAITING: 1 };
const BASE_SECONDS = 0.5;
const CAP_SECONDS = 30;

/** Whether the connection failed, not the request. */
export function isUnreachable(error) {
  return error instanceof SluiceError && UNREACHABLE.has(error.code);
}

/**
 * Seconds until the next attempt, or null to give up. Full jitter over an exponential backoff; the server's Retry-After
 * is the minimum, with up to a quarter more so that clients do not come back together.
 * @param {SluiceError} error
 * @param {number} attempt Number of the attempt that failed, from 1.
 * @param {number} sinceSeconds Seconds since the first failure in a row.
 * @param {number} giveUpAfter
 * @param {number} jitter Uniform in [0, 1).
 */
export function retryDelay(error, attempt, sinceSeconds, giveUpAfter, jitter) {
  if (!error.retryable) return null;
  const backoff = Math.min(CAP_SECONDS, BASE_SECONDS * 2 ** Math.min(attempt - 1, 16));
  if (!WAITS.has(error.code)) {
    if (isUnreachable(error) ? sinceSeconds >= giveUpAfter : attempt >= (ATTEMPTS_BY_CODE[error.code] ?? ATTEMPTS)) {
      return null;
    }
  }
  if (error.retryAfter !== null) return error.retryAfter * (1 + jitter / 4);
  return backoff * (0.5 + jitter / 2);
}

/** The error of a response: the server's envelope, or what a proxy sent in its place. */
export function errorOfResponse(status, text, retryAfterHeader) {
  const seconds = Number.parseFloat(retryAfterHeader ?? "");
  const retryAfter = Number.isFinite(seconds) && seconds >= 0 ? seconds : null;
  try {
    const { error } = JSON.parse(text);
    if (typeof error?.code === "string") {
      return new SluiceError(error.code, String(error.message), {
        status, retryAfter, retryable: Boolean(error.retryable), detail: error.detail ?? {},
      });
    }
  } catch {
    // Not the server's envelope.
  }
  const retryable = status >= 500 || status === 429 || status === 408;
  return new SluiceError(`HTTP_${status}`, `The response was HTTP ${status}, not one of the server's own.`, {
    status, retryAfter, retryable,
  });
}

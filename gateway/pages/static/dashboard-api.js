/**
 * Requests of the dashboard. The key goes into a header; no cookies and no Basic authentication, so that the browser asks
 * for no password of its own. A request for an upload of another cell is redirected to it, within this origin: the
 * page's Content-Security-Policy permits no other.
 */

import { takeCredential, keepCredential, dropCredential } from "./credential.js";

const TIMEOUT_MS = 20_000;

/** A response that is an error, or none (`code` is NETWORK). */
export class ApiError extends Error {
  constructor(code, status, message, retryAfterSeconds = null) {
    super(message);
    this.code = code;
    this.status = status;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

let key = takeCredential();

export function signIn(given) {
  key = given.trim();
  keepCredential(key);
}

export function signOut() {
  key = null;
  dropCredential();
}

export function hasKey() {
  return Boolean(key);
}

/** The `data` of a response in the envelope. Throws ApiError. */
export async function call(path, method = "GET") {
  const response = await send(path, method);
  let body;
  try {
    body = await response.json();
  } catch {
    throw new ApiError("NETWORK", response.status, `The gateway sent no JSON (status ${response.status}).`);
  }
  if (!response.ok) {
    const retryAfter = Number(response.headers.get("Retry-After")) || null;
    throw new ApiError(body.error.code, response.status, body.error.message, retryAfter);
  }
  return body.data;
}

/** A picture as a `blob:` URL, or null. */
export async function picture(path) {
  const response = await send(path, "GET");
  return response.ok ? URL.createObjectURL(await response.blob()) : null;
}

async function send(path, method) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  try {
    return await fetch(path, {
      method, headers, credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new ApiError("NETWORK", 0, "The gateway does not respond.");
  }
}

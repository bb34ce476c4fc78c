/** A worker that computes digests: {id, blob, algorithm} -> {id, digest} or {id, error}. */
import { digestOf } from "./digest-core.js";

addEventListener("message", async ({ data: { id, blob, algorithm } }) => {
  try {
    postMessage({ id, digest: await digestOf(blob, algorithm) });
  } catch (error) {
    postMessage({ id, error: String(error) });
  }
});

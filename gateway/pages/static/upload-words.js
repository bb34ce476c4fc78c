/** What /upload says to a person: sizes, times, states, and why a file was refused and what to do. Pure. */

const UNITS = ["B", "KB", "MB", "GB", "TB"];

export function bytes(count) {
  let unit = 0;
  let value = count;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** Roughly: a time that is left is an estimate. */
export function roughly(seconds) {
  if (seconds < 5) return "a few seconds";
  if (seconds < 55) return `${Math.ceil(seconds / 5) * 5} seconds`;
  if (seconds < 5400) return plural(Math.max(1, Math.round(seconds / 60)), "minute");
  if (seconds < 172_800) return plural(Math.round(seconds / 3600), "hour");
  return plural(Math.round(seconds / 86_400), "day");
}

export function plural(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

function clock(seconds) {
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

const two = (number) => String(number).padStart(2, "0");

/** Metadata in one line. */
export function describeMedia(media) {
  const stream = (type) => media.streams?.find((one) => one.type === type && !one.attached_picture);
  const [video, audio] = [stream("video"), stream("audio")];
  return [
    video && `${video.width} × ${video.height}`,
    media.duration_seconds && clock(media.duration_seconds),
    video?.frame_rate && `${Number(video.frame_rate.toFixed(2))} fps`,
    video?.codec,
    video?.hdr && "HDR",
    audio && [audio.codec, audio.channel_layout].filter(Boolean).join(" "),
    media.container,
    media.bit_rate && `${(media.bit_rate / 1e6).toFixed(1)} Mbit/s`,
  ].filter(Boolean).join(" · ");
}

/** Stages in the order in which they mostly end, as nouns: the mark in front says whether one is done. */
export const STAGES = {
  probe: "Metadata", thumbnail: "Thumbnail", transfer: "Storage", assemble: "Checksum", seal: "Final check",
  persist: "Catalogue",
};

/** [badge, kind of badge]: kind is "", "ready", "bad" or "wait". */
export function badge(upload) {
  if (upload.error?.code === "UPLOAD_CANCELLED") return ["Cancelled", "wait"];
  if (needsSignIn(upload.error)) return ["Stopped", "wait"];
  if (upload.error) return [mayTryAgain(upload.error) ? "Failed" : "Refused", "bad"];
  if (upload.content) return ["Ready", "ready"];
  if (upload.isPaused) return ["Paused", "wait"];
  if (upload.problem) return [upload.problem.error.code === "OFFLINE" ? "Offline" : "Retrying", "wait"];
  switch (upload.status) {
    case "queued":
    case "waiting":
      return ["Waiting", "wait"];
    case "processing":
    case "ready":
      return ["Processing", ""];
    default:
      return ["Uploading", ""];
  }
}

/** "2 of 5 files ready, 1 refused": `ended` are the badges of those that have no content. */
export function summary(ready, all, ended) {
  const counts = new Map();
  for (const word of ended) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [`${ready} of ${plural(all, "file")} ready`, ...[...counts].map(([word, count]) => `${count} ${word.toLowerCase()}`)].join(", ");
}

/** One line about the state of an upload. */
export function describeState(upload) {
  const { status, view, bytesSent, bytesTotal } = upload;
  const amount = `${bytes(bytesSent)} of ${bytes(bytesTotal)}`;
  if (upload.error || upload.content) return bytes(bytesTotal);
  if (upload.isPaused) return `Paused at ${amount}.`;
  if (upload.problem) return `${amount} · ${describeProblem(upload.problem)}`;
  if (status === "queued") return `${bytes(bytesTotal)} · waits for other files of this page`;
  if (status === "waiting") {
    const place = view.queue_position === null ? "" : `: number ${view.queue_position} in the queue`;
    return `${bytes(bytesTotal)} · waits for room on the server${place}`;
  }
  if (status === "processing" || status === "ready") return `${bytes(bytesTotal)} sent · the server finishes the file`;
  const { rate, secondsLeft } = upload;
  if (!rate) return amount;
  return `${amount} · ${bytes(rate)}/s · ${roughly(secondsLeft)} left`;
}

/**
 * Of an upload that an earlier page left: one line, and the part of the file that need not be sent again. `view`: what
 * the server says of it, null where that is not known.
 */
export function describeUnfinished({ size }, view) {
  if (view === null) return { part: 0, words: `${bytes(size)} · was not finished when the page was closed` };
  if (view.status === "failed") return { part: 0, words: `Failed while the page was closed. ${adviceFor({ detail: {}, ...view.error })}` };
  if (view.status === "expired" || view.status === "cancelled") {
    return { part: 0, words: `${bytes(size)} · starts again: nothing was sent for too long, and the server has removed it` };
  }
  const sent = view.bytes_received;
  return { part: sent / size, words: `${bytes(sent)} of ${bytes(size)} arrived before the page was closed.` };
}

function describeProblem({ error, at }) {
  const seconds = at === null ? 0 : Math.ceil((at - Date.now()) / 1000);
  const next = seconds > 1 ? ` Next attempt in ${roughly(seconds)}.` : "";
  if (error.code === "OFFLINE") return "This device is offline. The upload continues when the connection is back.";
  if (error.code === "NETWORK" || error.code === "TIMEOUT") return `The server cannot be reached.${next}`;
  if (error.status === 429) return `The server asks to wait.${next}`;
  return `The server has a problem (${error.code}).${next}`;
}

/** Why a person has to sign in before anything is sent, by code. */
const SIGN_IN = {
  UNAUTHENTICATED: "You are not signed in.",
  CREDENTIAL_INVALID: "The key or permit is not valid.",
  CREDENTIAL_EXPIRED: "The key or permit has expired.",
};

/** Whether an upload continues when its person has signed in. */
export function needsSignIn(error) {
  return Object.hasOwn(SIGN_IN, error?.code);
}

/** What the sign-in form says. `waiting`: how many uploads continue afterwards. */
export function signInAdvice(code, waiting) {
  const then = waiting === 0 ? "" : waiting === 1 ? " Your upload then continues." : " Your uploads then continue.";
  return `${SIGN_IN[code] ?? ""} Enter a new one.${then}`;
}

const ADVICE = {
  NOT_MEDIA: "This is not a video, an image or a sound file that can be read. Check that it plays on this device, or choose another file.",
  CONTENT_TYPE_NOT_MEDIA: "Only videos, images and sound files can be uploaded. Choose another file.",
  MEDIA_TIMEOUT: "The file could not be read in time; it may be damaged. Export it again, then upload the new file.",
  FILE_EMPTY: "The file is empty. Choose another file.",
  FILE_CHANGED: "The file was changed, moved or deleted while it was being sent. Choose it again.",
  FILE_NEEDED: "The server needs parts of this file again. Choose the same file to continue.",
  FILE_DIFFERS: "That is another file: its size or its date differs. Choose the one that you began with.",
  FILE_DIGEST_WRONG: "The file arrived with errors. Try again.",
  SEGMENT_DIFFERS: "The file has changed since the upload began. Try again to upload the new version.",
  UPLOAD_CANCELLED: "You cancelled this upload.",
  UPLOAD_EXPIRED: "Nothing was sent for too long, and the server has removed what had arrived. Try again.",
  UPLOAD_DEADLINE: "The file did not arrive in the time that the server allows. Try again over a faster connection.",
  ACCESS_DENIED: "Your key may not upload files. Sign in with another one.",
  SEGMENTS_TOO_LARGE_FOR_VOLUME: "The file is too large for this server. Ask its operator for more room.",
  FILE_TOO_LARGE_FOR_STORE: "The file is larger than the store accepts. Split it, or export a smaller one.",
  NETWORK: "The server could not be reached for a long time. Check your connection, then try again.",
  UNEXPECTED: "Something went wrong in this page. Reload it; the upload continues where it was.",
};

/** Why a file has no content, and what a person can do. */
export function adviceFor(error) {
  if (error.code === "FILE_TOO_LARGE_FOR_OWNER") {
    const most = Number(error.detail.value);
    return `The file is too large${most > 0 ? `: you may upload at most ${bytes(most)} per file` : ""}. Export a smaller one.`;
  }
  if (error.code === "PERMIT_EXCEEDED" || error.code === "MEDIA_NOT_PERMITTED") {
    return `You may not upload this file. ${error.message}`;
  }
  if (needsSignIn(error)) return `${SIGN_IN[error.code]} Sign in again with a new one: the upload then continues.`;
  if (error.code === "HTTP_413") return "A proxy in front of the server refuses requests of this size. Tell its operator.";
  return ADVICE[error.code] ?? error.message;
}

/** Whether the same file may succeed when it is sent again. */
export function mayTryAgain(error) {
  return !["NOT_MEDIA", "CONTENT_TYPE_NOT_MEDIA", "FILE_EMPTY", "FILE_CHANGED", "MEDIA_NOT_PERMITTED", "PERMIT_EXCEEDED",
    "FILE_TOO_LARGE_FOR_OWNER", "FILE_TOO_LARGE_FOR_STORE", "SEGMENTS_TOO_LARGE_FOR_VOLUME"].includes(error.code);
}

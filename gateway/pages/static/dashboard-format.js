/** Numbers and times as people read them. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(count) {
  let unit = 0;
  let value = count;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** A duration of so many milliseconds, with one or two units. */
export function duration(milliseconds) {
  const seconds = Math.max(0, milliseconds / 1000);
  if (seconds === 0) return "0 s";
  if (seconds < 1) return `${Math.round(milliseconds)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = seconds / 60;
  if (minutes < 60) return `${Math.floor(minutes)} min ${Math.floor(seconds % 60)} s`;
  const hours = minutes / 60;
  if (hours < 48) return `${Math.floor(hours)} h ${Math.floor(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${Math.floor(hours % 24)} h`;
}

/** As `duration`, coarser: for ages that change all the time. */
export function age(milliseconds) {
  const seconds = Math.max(0, milliseconds / 1000);
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

export function number(value) {
  return value.toLocaleString("en");
}

export function plural(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

export function percent(part, whole) {
  return whole > 0 ? `${Math.round((100 * part) / whole)} %` : "–";
}

/** Whether the size of an upload's file is known. */
export function isSizeKnown({ deferred }) {
  return deferred !== "size" && deferred !== "length";
}

/**
 * The size of an upload's file. Where it is not known, `size` is what counts towards limits: the least that is known if
 * the client sends the bytes to the store itself, else a whole segment for a part of one, which may be more than there is.
 */
export function fileSize(upload) {
  if (isSizeKnown(upload)) return bytes(upload.size);
  return upload.transport === "direct" && upload.size > 0 ? `at least ${bytes(upload.size)}` : "size not known";
}

/** How much of an upload has arrived and is stored: shares of its size, or bytes where that is not known. */
export function amounts(upload) {
  const share = (part) => (isSizeKnown(upload) ? percent(part, upload.size) : bytes(part));
  return `${share(upload.bytes_received)} received, ${share(upload.bytes_stored)} stored`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

export function clock(milliseconds) {
  return CLOCK.format(milliseconds);
}

export function dateTime(milliseconds) {
  return `${DAY.format(milliseconds)}, ${CLOCK.format(milliseconds)}`;
}

/** The time of an RFC 3339 string in milliseconds, or null. */
export function time(text) {
  return text === null || text === undefined ? null : Date.parse(text);
}

/** Charts as SVG without text: their figures are in the text beside them, and in the label. */

import { h } from "./dashboard-dom.js";
import { bytes, time } from "./dashboard-format.js";

const HOUR_MS = 3_600_000;
const WIDTH = 600;
const HEIGHT = 120;
// Samples are ten seconds apart. A line does not span a time in which there was none.
const GAP_MS = 45_000;

/**
 * A bar of parts of a whole. `parts`: [class, bytes]; the second one is a stripe within the first. `whole`: null if it is
 * not known; no part is drawn then.
 */
export function meter(whole, parts, label) {
  if (whole === null) return h("div", { class: "meter open", role: "img", "aria-label": label });
  const most = Math.max(whole, ...parts.map(([, size]) => size), 1);
  return h("svg", { class: "meter", viewBox: "0 0 1000 16", preserveAspectRatio: "none", role: "img", "aria-label": label },
    h("rect", { class: "track", width: 1000, height: 16 }),
    parts.map(([name, size], place) => h("rect", {
      class: name, width: Math.round((1000 * size) / most), y: place === 0 ? 0 : 5, height: place === 0 ? 16 : 6,
    })));
}

/** The last hour of a temp volume: reserved as an area, bytes on the disk as a line, the budget as a dashed line. */
export function history(samples, nowMs) {
  const most = Math.max(1, ...samples.map((sample) => Math.max(sample.budget, sample.reserved))) * 1.05;
  const x = (moment) => round(WIDTH * (1 - (nowMs - moment) / HOUR_MS));
  const y = (size) => round(HEIGHT * (1 - size / most));
  const runs = split(samples.filter((sample) => nowMs - time(sample.at) <= HOUR_MS));
  const path = (value, closed) => runs.map((run) => {
    const points = run.map((sample) => `${x(time(sample.at))},${y(value(sample))}`);
    const first = x(time(run[0].at));
    const last = x(time(run.at(-1).at));
    return closed ? `M${first},${HEIGHT}L${points.join("L")}L${last},${HEIGHT}Z` : `M${points.join("L")}${points.length === 1 ? "h.5" : ""}`;
  }).join("");
  return h("svg", { class: "history", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": describe(samples) },
    [0.25, 0.5, 0.75].map((part) => h("line", { class: "grid", x1: WIDTH * part, x2: WIDTH * part, y1: 0, y2: HEIGHT })),
    h("path", { class: "reserved-area", d: path((sample) => sample.reserved, true) }),
    h("path", { class: "reserved-line", d: path((sample) => sample.reserved, false) }),
    h("path", { class: "disk-line", d: path((sample) => sample.on_disk, false) }),
    h("path", { class: "budget-line", d: path((sample) => sample.budget, false) }));
}

function describe(samples) {
  if (samples.length === 0) return "The last hour: no samples yet.";
  const peak = (name) => bytes(Math.max(...samples.map((sample) => sample[name])));
  const last = samples.at(-1);
  return `The last hour. Reserved: ${bytes(last.reserved)} now, ${peak("reserved")} at most, of a budget of ${bytes(last.budget)}. `
    + `On the disk: ${bytes(last.on_disk)} now, ${peak("on_disk")} at most. Waiting: ${last.waiting} now, `
    + `${Math.max(...samples.map((sample) => sample.waiting))} at most.`;
}

function split(samples) {
  const runs = [];
  for (const sample of samples) {
    const run = runs.at(-1);
    if (run && time(sample.at) - time(run.at(-1).at) <= GAP_MS) run.push(sample);
    else runs.push([sample]);
  }
  return runs;
}

/** A row of a timeline. `spans`: [class, fromMs, toMs]. */
export function spans(list, fromMs, toMs) {
  const whole = Math.max(1, toMs - fromMs);
  const x = (moment) => Math.min(1000, Math.max(0, (1000 * (moment - fromMs)) / whole));
  return h("svg", { class: "spans", viewBox: "0 0 1000 16", preserveAspectRatio: "none", "aria-hidden": "true" },
    h("rect", { class: "track", width: 1000, height: 16 }),
    list.map(([name, from, to]) => {
      // A short span stays visible, at the end of the axis too.
      const width = Math.max(4, x(to) - x(from));
      return h("rect", { class: name, x: round(Math.min(x(from), 1000 - width)), width: round(width), height: 16 });
    }));
}

function round(value) {
  return Math.round(value * 10) / 10;
}

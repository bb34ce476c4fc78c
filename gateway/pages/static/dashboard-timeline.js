/** The timeline of one upload: its phases and stages as bars on one time axis, each with its facts in words. */

import { spans } from "./dashboard-charts.js";
import { h } from "./dashboard-dom.js";
import { amounts, bytes, clock, dateTime, duration, fileSize, isSizeKnown, plural, time } from "./dashboard-format.js";

const WAITS = {
  segments: "waits for segments that it has requested",
  received: "waits for the last segment",
  sealed: "waits for the manifest",
};
const DEPENDENCIES = { store: "the object store", database: "PostgreSQL", redis: "Redis", disk: "the temp volume", worker: "the worker's own environment" };

/** Transports whose uploads wait for room on the temp volume, and those whose bytes are in the store from the beginning. */
const ADMITTED = new Set(["gateway", "partial"]);
const IN_STORE = new Set(["import", "final"]);

/** What a person may have to know to understand the status of a partial or final upload. */
const MEANINGS = {
  "partial held": "The store has this part of a file. It waits for the final upload that names it, and expires without one.",
  "partial joined": "This part of a file belongs to the final upload that named it. It is no content of its own.",
};

/** Elements for `draw`. `nowMs`: the time of Redis. */
export function timeline(data, nowMs) {
  const { upload } = data;
  const from = time(upload.created_at);
  const to = Math.max(from + 10, lastMoment(data, nowMs));
  const axis = (part) => (part === 0 ? clock(from) : `+${duration((to - from) * part)}`);
  return [
    h("div", { class: "timeline-head" },
      h("div", {}, h("h2", { id: "timeline-title" }, upload.filename),
        h("p", { class: "soft" }, `${fileSize(upload)} · ${upload.content_type} · ${upload.owner} · ${upload.transport}`),
        h("p", { class: "soft id" }, upload.id)),
      h("span", { class: `badge ${upload.status}` }, upload.queue_position ? `waiting, no. ${upload.queue_position}` : upload.status),
      h("button", { type: "button", "data-action": "close", autofocus: true }, "Close")),
    upload.error && h("p", { class: "notice" }, h("code", {}, upload.error.code), ` ${upload.error.message}`),
    h("p", {}, `Created ${dateTime(from)}. ${ending(data, nowMs)} ${amounts(upload)}.`),
    meaning(upload),
    h("div", { class: "axis", "aria-hidden": "true" }, h("span", {}, axis(0)), h("span", {}, axis(0.5)), h("span", {}, axis(1))),
    h("ol", { class: "rows", "aria-label": "Phases and stages" },
      phases(data, nowMs).map(([name, list, text]) => row(name, spans(list, from, to), text)),
      data.stages.filter((stage) => stage.state !== "skipped").map((stage) => row(stage.stage, spans(stageSpans(stage, data, nowMs), from, to), stageText(stage, nowMs), retry(stage, upload, nowMs))),
      held(data, nowMs).map(([name, list, text]) => row(name, spans(list, from, to), text))),
    skipped(data.stages),
    h("ul", { class: "legend", "aria-hidden": "true" },
      [["wait", "waits"], ["run", "works"], ["good-bar", "done"], ["outage", "dependency unavailable"], ["bad-bar", "failed"]].map(([name, text]) =>
        h("li", {}, h("span", { class: `mark ${name}` }), text))),
    ["waiting", "granted", "admitted", "receiving", "processing", "held"].includes(upload.status) && h("p", { class: "controls" },
      h("button", { type: "button", class: "danger", "data-action": "cancel", "data-id": upload.id, "data-name": upload.filename }, "Cancel this upload")),
  ];
}

function meaning({ transport, status }) {
  const text = MEANINGS[`${transport} ${status}`];
  return text ? h("p", { class: "soft" }, text) : null;
}

/** Stages of which this upload has no use. */
function skipped(stages) {
  const names = stages.filter((stage) => stage.state === "skipped").map((stage) => stage.stage);
  return names.length === 0 ? null : h("p", { class: "soft" }, `Skipped: ${names.join(", ")}.`);
}

function row(name, bars, text, action = null) {
  return h("li", { key: name }, h("strong", {}, name), bars, h("span", { class: "fact" }, text, action));
}

function lastMoment(data, nowMs) {
  if (data.ended_at === null) return nowMs;
  const known = [data.ended_at, data.cleaned_at, ...data.stages.map((stage) => stage.finished_at)];
  return Math.max(...known.filter(Boolean).map(time));
}

function ending(data, nowMs) {
  const from = time(data.upload.created_at);
  if (data.ended_at === null) return `In flight for ${duration(nowMs - from)}.`;
  return `Ended after ${duration(time(data.ended_at) - from)} as ${data.upload.status}.`;
}

function phases(data, nowMs) {
  const { upload } = data;
  const created = time(upload.created_at);
  const end = time(data.ended_at) ?? nowMs;
  const admitted = time(data.admitted_at);
  const received = time(data.received_at);
  const rows = [];
  if (ADMITTED.has(upload.transport)) {
    const until = admitted ?? end;
    rows.push(["waiting", [["wait", created, until]], `${duration(until - created)}${admitted === null && data.ended_at === null ? ", still in the queue" : ""}`]);
  }
  const begin = ADMITTED.has(upload.transport) ? admitted : created;
  if (begin !== null && !IN_STORE.has(upload.transport)) {
    const until = received ?? end;
    const done = received === null ? "run" : "good-bar";
    rows.push(["receiving", [[done, begin, until]], `${duration(until - begin)}, ${bytes(upload.bytes_received)} of ${isSizeKnown(upload) ? bytes(upload.size) : "a size that is not known"}`]);
  }
  return rows;
}

/** A partial upload waits for its final upload once everything is stored. */
function held(data, nowMs) {
  const stored = time(data.stages.find((stage) => stage.stage === "transfer")?.finished_at);
  if (data.upload.transport !== "partial" || stored === null) return [];
  const until = time(data.ended_at) ?? nowMs;
  const how = { held: ", waits for its final upload", joined: ", until its final upload named it" }[data.upload.status] ?? "";
  return [["held", [["wait", stored, until]], `${duration(until - stored)}${how}`]];
}

/**
 * The record has the first start of a stage, since when it is in its state, and since when a dependency has been
 * unavailable to it. Between the first start and the present state lie its runs, and pauses between them.
 */
function stageSpans(stage, data, nowMs) {
  const end = time(data.ended_at) ?? nowMs;
  const due = time(stage.due_at);
  const started = time(stage.started_at);
  const since = time(stage.state_since);
  if (started === null) return stage.state === "queued" && due !== null ? [["wait", Math.min(due, end), end]] : [];
  const list = due !== null && due < started ? [["wait", due, started]] : [];
  const outage = time(stage.outage_since);
  const ended = { done: "good-bar", failed: "bad-bar" }[stage.state];
  if (ended) return [...list, [ended, started, time(stage.finished_at) ?? end]];
  const waits = stage.state === "idle" || stage.state === "queued";
  const until = stage.state === "stopped" || waits ? since ?? end : end;
  list.push(["run", started, until]);
  if (waits) list.push(["wait", until, end]);
  if (outage !== null) list.push(["outage", outage, end]);
  return list;
}

function stageText(stage, nowMs) {
  const started = time(stage.started_at);
  const finished = time(stage.finished_at) ?? (stage.state === "stopped" ? time(stage.state_since) : null);
  const due = time(stage.due_at);
  const parts = [stage.state === "idle" ? `idle: ${WAITS[stage.waits_for] ?? "waits for segments"}` : stage.state];
  if (started === null && stage.state === "done") parts.push("by an earlier stage");
  if (started !== null) parts.push(duration((finished ?? nowMs) - started));
  if (stage.attempts > 1) parts.push(`attempt ${stage.attempts}`);
  if (stage.failures > stage.outages) parts.push(plural(stage.failures - stage.outages, "error"));
  if (stage.outages > 0) parts.push(plural(stage.outages, "outage"));
  if (stage.takeovers > 0) parts.push(plural(stage.takeovers, "take-over"));
  if (stage.outage_since !== null) {
    parts.push(`${DEPENDENCIES[stage.outage_dependency] ?? stage.outage_dependency} has been unavailable for ${duration(nowMs - time(stage.outage_since))}`);
  }
  if (stage.error_code !== null) parts.push(stage.error_code);
  if (stage.state === "queued" && due !== null && due > nowMs) parts.push(`next attempt in ${duration(due - nowMs)}`);
  if (stage.worker !== null && stage.state === "running") parts.push(stage.worker);
  return parts.join(" · ");
}

function retry(stage, upload, nowMs) {
  const due = time(stage.due_at);
  if (stage.state !== "queued" || due === null || due <= nowMs) return null;
  return h("button", { type: "button", "data-action": "retry", "data-id": upload.id, "data-stage": stage.stage }, "Retry now",
    h("span", { class: "hidden-visually" }, `: ${stage.stage}`));
}

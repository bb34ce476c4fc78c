/** The panels that show the cells: statuses, temp volumes, stages, failures, workers. Each returns elements for `draw`. */

import { history, meter } from "./dashboard-charts.js";
import { h } from "./dashboard-dom.js";
import { age, bytes, duration, number, percent, plural, time } from "./dashboard-format.js";

const ENDED = new Set(["ready", "joined", "failed", "expired", "cancelled"]);

/** What identifies a volume or worker of an overview: cells may use the same names. */
export function cellKey({ cell, name }) {
  return `${cell}/${name}`;
}

/** Whether the installation has several cells, so that each part names its own. */
function several(overview) {
  return overview.unreachable_cells.length > 0 || new Set([...overview.volumes, ...overview.workers].map(({ cell }) => cell)).size > 1;
}

/** Which cells do not respond. */
export function unreachable(overview) {
  const cells = overview.unreachable_cells;
  if (cells.length === 0) return null;
  return h("p", { class: "notice", role: "status" }, h("strong", {}, cells.length === 1 ? `Cell ${cells[0]} does not respond.` : `Cells ${cells.join(", ")} do not respond.`),
    ` ${cells.length === 1 ? "Its" : "Their"} volumes, workers and uploads are missing on this page.`);
}

export function statuses(overview, selected) {
  const now = time(overview.at);
  return h("ul", { class: "tiles" }, overview.statuses.map(({ status, count, oldest_since: oldest }) =>
    h("li", { key: status },
      h("button", { type: "button", class: `tile ${status}${count === 0 ? " none" : ""}`, "data-action": "filter", "data-status": status, "aria-pressed": String(selected === status) },
        h("strong", {}, number(count)), h("span", {}, status),
        count > 0 && !ENDED.has(status) && h("small", {}, `oldest ${age(now - time(oldest))}`)))));
}

export function volumes(overview, histories) {
  if (overview.volumes.length === 0) {
    return h("p", { class: "panel soft" }, "No temp volume has been used yet. It appears with the first upload or admission worker.");
  }
  const numbered = several(overview);
  return overview.volumes.map((volume) => volumePanel(volume, histories.get(cellKey(volume)) ?? [], time(overview.at), numbered));
}

function volumePanel(volume, samples, now, numbered) {
  const ranAgo = volume.admission_ran_at === null ? null : now - time(volume.admission_ran_at);
  const late = ranAgo === null || ranAgo > 15_000;
  return h("div", { class: "panel volume", key: cellKey(volume) },
    h("div", { class: "volume-head" },
      h("h3", {}, numbered && `Cell ${volume.cell} · `, volume.name),
      h("p", { class: late ? "bad" : "soft" }, late
        ? `Admission has not run for ${ranAgo === null ? "as long as Redis knows" : age(ranAgo)}: no upload is admitted. Start a worker: sluice worker admission`
        : "Admission runs"),
      volume.draining_since !== null && h("p", { class: "bad" }, `Drained for ${age(now - time(volume.draining_since))}: no new uploads`)),
    meter(volume.budget, [["reserved", volume.reserved], ["disk", volume.on_disk]],
      `Reserved ${bytes(volume.reserved)} and on the disk ${bytes(volume.on_disk)} of a budget of ${bytes(volume.budget)}`),
    h("dl", { class: "facts" },
      fact("Reserved", bytes(volume.reserved), `${percent(volume.reserved, volume.budget)} of the budget`, "reserved"),
      fact("On the disk", bytes(volume.on_disk), "allocated for uploads", "disk"),
      fact("Budget", bytes(volume.budget), plural(volume.holding, "upload holds room", "uploads hold room"), "budget"),
      fact("Free on the disk", bytes(volume.free), volume.measured_at === null ? "not measured yet" : `measured ${age(now - time(volume.measured_at))} ago`),
      fact("Waiting", number(volume.waiting), volume.waiting === 1 ? "upload in the queue" : "uploads in the queue")),
    h("figure", {},
      history(samples, now),
      h("figcaption", {}, h("span", {}, "1 h ago"), h("span", {}, samples.length === 0 ? "No samples yet" : "The last hour"), h("span", {}, "now"))),
    samples.length > 0 && figures(samples, now),
    volume.queue.length > 0 && queue(volume, now));
}

function fact(name, value, more, mark = null) {
  return h("div", {}, h("dt", {}, mark && h("span", { class: `mark ${mark}`, "aria-hidden": "true" }), name), h("dd", {}, value, h("small", {}, more)));
}

/** The chart as a table, one row for five minutes. */
function figures(samples, now) {
  const rows = new Map();
  for (const sample of samples) rows.set(Math.floor((now - time(sample.at)) / 300_000), sample);
  return h("details", { class: "figures" }, h("summary", {}, "Figures of the last hour"),
    scroll("Figures of the last hour", h("table", {},
      head(["Time", "Reserved", "On the disk", "Budget", "Free", "Waiting"]),
      h("tbody", {}, [...rows].sort(([a], [b]) => a - b).map(([step, sample]) => h("tr", { key: step },
        h("th", { scope: "row" }, step === 0 ? "now" : `${5 * step} min ago`),
        [sample.reserved, sample.on_disk, sample.budget, sample.free].map((size) => h("td", { class: "figure" }, bytes(size))),
        h("td", { class: "figure" }, number(sample.waiting))))))));
}

function queue(volume, now) {
  const more = volume.waiting - volume.queue.length;
  return h("div", { class: "queue" }, h("h4", {}, "Queue"),
    scroll(`Queue of ${volume.name}`, h("table", {},
      head(["Next", "File", "Owner", "Needs", "Waits for", "Overtaken"]),
      h("tbody", {}, volume.queue.map((upload, position) => h("tr", { key: upload.id },
        h("td", { class: "figure" }, position + 1),
        h("th", { scope: "row" }, open(upload.id, upload.filename)),
        h("td", {}, upload.owner),
        h("td", { class: "figure" }, bytes(upload.requested)),
        h("td", { class: "figure" }, age(now - time(upload.waiting_since))),
        h("td", { class: "figure" }, upload.overtaken > 0 ? `${upload.overtaken} ×` : "–")))))),
    more > 0 && h("p", { class: "soft" }, `and ${plural(more, "more upload")}`));
}

export function stages(overview) {
  const now = time(overview.at);
  const numbered = several(overview);
  const alive = new Set(overview.workers.flatMap((worker) => worker.types.map((type) => `${worker.cell} ${type}`)));
  const queues = new Map();
  for (const item of overview.queues) {
    const known = queues.get(item.worker) ?? { depth: 0, since: null, stuck: [] };
    const since = item.oldest_due_since === null ? null : time(item.oldest_due_since);
    known.depth += item.depth;
    if (item.depth > 0 && !alive.has(`${item.cell} ${item.worker}`)) known.stuck.push(item.cell);
    known.since = known.since === null || (since !== null && since < known.since) ? since : known.since;
    queues.set(item.worker, known);
  }
  const window = overview.rate_seconds === null ? null : duration(1000 * overview.rate_seconds);
  return [
    scroll("Table of stages", h("table", {},
      head(["Stage", "In queue", "Waits now", "Mean wait", "Per minute", "Retries", "Failed", "Taken over"]),
      h("tbody", {}, overview.stages.map((stage) => {
        const own = queues.get(stage.worker);
        const shared = stage.stage !== stage.worker;
        const stuck = own?.stuck ?? [];
        return h("tr", { key: stage.stage },
          h("th", { scope: "row" }, stage.stage, stuck.length > 0 && h("span", { class: "bad block" }, numbered ? `no worker in cell ${[...new Set(stuck)].join(", ")}` : "no worker")),
          h("td", { class: "figure" }, shared ? `with ${stage.worker}` : number(own?.depth ?? 0)),
          h("td", { class: "figure" }, !shared && own?.since ? age(now - own.since) : "–"),
          h("td", { class: "figure" }, stage.wait_seconds === null ? "–" : duration(1000 * stage.wait_seconds)),
          h("td", { class: "figure" }, stage.done_per_minute === null ? "–" : number(stage.done_per_minute)),
          h("td", { class: `figure ${stage.retried > 0 ? "warn" : ""}` }, number(stage.retried)),
          h("td", { class: `figure ${stage.failed > 0 ? "bad" : ""}` }, number(stage.failed)),
          h("td", { class: `figure ${stage.taken_over > 0 ? "warn" : ""}` }, number(stage.taken_over)));
      })))),
    h("p", { class: "soft" }, window === null
      ? "Rates and waits are known once an admission worker has run for a few seconds."
      : `Mean wait and rate: over the last ${window}. Retries, failures and take-overs: since Redis has data.`),
  ];
}

export function failures(overview) {
  const { codes, examined, complete } = overview.failures;
  const now = time(overview.at);
  if (codes.length === 0) return h("p", { class: "soft" }, "No upload that Redis knows has failed or expired.");
  const most = codes[0].count;
  return [
    h("ul", { class: "codes" }, codes.map((item) => h("li", { key: item.code },
      h("div", { class: "code-head" }, h("code", {}, item.code), h("strong", {}, number(item.count))),
      meter(most, [["bad-bar", item.count]], `${plural(item.count, "upload")} with ${item.code}`),
      h("small", { class: "soft" }, `latest ${age(now - time(item.latest_at))} ago: `, open(item.latest_id, shortId(item.latest_id)))))),
    h("p", { class: "soft" }, complete
      ? examined === 1 ? "The one upload that failed or expired and whose record is kept." : `All ${number(examined)} uploads that failed or expired and whose records are kept.`
      : `The last ${plural(examined, "upload")} that failed or expired.`),
  ];
}

export function workers(overview) {
  const now = time(overview.at);
  if (overview.workers.length === 0) {
    return h("p", { class: "bad" }, "No worker is alive: uploads are received, and nothing else happens. Start some: ", h("code", {}, "sluice worker all"));
  }
  const numbered = several(overview);
  return h("ul", { class: "workers" }, overview.workers.map((worker) => h("li", { key: cellKey(worker) },
    h("div", { class: "code-head" }, h("strong", {}, worker.name), h("small", { class: "soft" }, `seen ${age(now - time(worker.seen_at))} ago`)),
    h("p", {}, worker.types.join(", "), h("span", { class: "soft" }, numbered && ` · cell ${worker.cell}`, ` · ${worker.volume}`)),
    worker.confinement === "incomplete" && h("p", { class: "bad" }, "The sandbox of its media reader is incomplete. Run sluice doctor there."))));
}

export function shortId(id) {
  return `${id.slice(0, 8)}…${id.slice(-6)}`;
}

/** A button that opens the timeline of an upload. */
export function open(id, text) {
  return h("button", { type: "button", class: "link", "data-action": "open", "data-id": id, title: id }, text);
}

function head(names) {
  return h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name))));
}

/** Wide tables scroll by themselves, also by keyboard. */
function scroll(label, table) {
  return h("div", { class: "scroll", role: "region", "aria-label": label, tabindex: 0 }, table);
}

/**
 * The dashboard: reads the state of the cells every two seconds while the page is visible, and draws what has changed.
 *
 * A failure is shown together with the time of the last state that is known, and is retried with growing pauses, as the
 * gateway asks. While the page is hidden or paused, nothing is requested.
 */

import { ApiError, call, hasKey, signIn, signOut } from "./dashboard-api.js";
import { draw, h } from "./dashboard-dom.js";
import { clock, time } from "./dashboard-format.js";
import { cellKey, failures, stages, statuses, unreachable, volumes, workers } from "./dashboard-overview.js";
import { timeline } from "./dashboard-timeline.js";
import { ContentList, UploadList } from "./dashboard-uploads.js";

const EVERY_MS = 2_000;
const LONGEST_PAUSE_MS = 30_000;
const CONTENTS_EVERY_MS = 30_000;
const HOUR_MS = 3_600_000;
const STATUSES = ["granted", "waiting", "admitted", "receiving", "processing", "held", "ready", "joined", "failed", "expired", "cancelled"];

const byId = (id) => document.getElementById(id);
const uploads = new UploadList(byId("uploads"), byId("found"));
const contents = new ContentList(byId("contents"));
const histories = new Map();
const view = { overview: null, readAt: 0, ready: null, contentsAt: 0, failed: 0, paused: false, opened: null, answer: null, outage: "", refusal: "" };
let timer = null;
let running = false;
let repeat = false;

/** The time of Redis, as far as it is known. */
function now() {
  return view.overview === null ? Date.now() : time(view.overview.at) + (performance.now() - view.readAt);
}

async function readOverview() {
  const known = [...histories.values()].map((samples) => samples.at(-1)?.at).filter(Boolean);
  // Of the volume whose last sample is the oldest: what others have already is left out below.
  const after = known.length > 0 ? known.reduce((a, b) => (time(a) < time(b) ? a : b)) : null;
  const overview = await call(after === null ? "v1/status" : `v1/status?history_after=${encodeURIComponent(after)}`);
  view.overview = overview;
  view.readAt = performance.now();
  for (const volume of overview.volumes) {
    const samples = histories.get(cellKey(volume)) ?? [];
    const last = samples.length > 0 ? time(samples.at(-1).at) : 0;
    samples.push(...volume.history.filter((sample) => time(sample.at) > last));
    histories.set(cellKey(volume), samples.filter((sample) => time(overview.at) - time(sample.at) <= HOUR_MS));
  }
  for (const key of histories.keys()) if (!overview.volumes.some((volume) => cellKey(volume) === key)) histories.delete(key);
}

function drawOverview() {
  const { overview } = view;
  draw(byId("statuses"), statuses(overview, uploads.query.status));
  draw(byId("unreachable"), unreachable(overview));
  draw(byId("volumes"), volumes(overview, histories));
  draw(byId("stages"), stages(overview));
  draw(byId("failures"), failures(overview));
  draw(byId("workers"), workers(overview));
}

/** Read and draw everything. A call during another one makes that one repeat itself: an action has changed something. */
async function refresh() {
  if (running) {
    repeat = true;
    return;
  }
  running = true;
  clearTimeout(timer);
  let pauseMs = EVERY_MS;
  try {
    await readOverview();
    show("board");
    drawOverview();
    await Promise.all([uploads.follow(now()), refreshContents(), refreshTimeline()]);
    view.failed = 0;
    live(true);
  } catch (error) {
    pauseMs = failed(error);
  } finally {
    running = false;
  }
  if (repeat && pauseMs !== null) pauseMs = 0;
  repeat = false;
  if (pauseMs !== null && (!view.paused || pauseMs === 0) && document.visibilityState === "visible") timer = setTimeout(refresh, pauseMs);
}

/** Contents change when an upload becomes ready or a content is deleted. */
async function refreshContents() {
  const ready = view.overview.statuses.find((item) => item.status === "ready").count;
  if (ready === view.ready && performance.now() - view.contentsAt < CONTENTS_EVERY_MS) return;
  await contents.refresh();
  view.ready = ready;
  view.contentsAt = performance.now();
}

/** Show why the state is not known; returns the pause before the next attempt, null: a person has to act. */
function failed(error) {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 401 || error.status === 403) {
    const had = hasKey();
    signOut();
    show("sign-in");
    byId("timeline").close();
    byId("sign-in-error").textContent = !had ? "" : error.status === 403
      ? `This key does not have the scope operate, which the dashboard needs. (${error.message})`
      : `The key was refused: ${error.message}`;
    byId("key").focus();
    return null;
  }
  view.failed += 1;
  live(false, error);
  const asked = (error.retryAfterSeconds ?? 0) * 1000;
  return Math.max(asked, Math.min(LONGEST_PAUSE_MS, EVERY_MS * 2 ** Math.min(view.failed, 5)));
}

function show(which) {
  byId("sign-in").hidden = which !== "sign-in";
  byId("board").hidden = which !== "board";
  byId("controls").hidden = which !== "board";
  document.querySelector("[data-action=sign-out]").hidden = !hasKey(); // a gateway without access rules asks for no key
  byId("live").hidden = which !== "board";
  if (which === "sign-in") byId("notice").hidden = true;
}

function live(works, error = null) {
  const state = !works ? "bad" : view.paused ? "paused" : "works";
  byId("live-dot").className = `dot ${state}`;
  byId("live").hidden = false;
  const at = view.overview === null ? null : clock(time(view.overview.at));
  byId("live-text").textContent = works ? `${view.paused ? "Paused" : "Live"} · ${at}` : at === null ? "Not connected" : `State of ${at}`;
  view.outage = works ? "" : `${error.message} ${at === null ? "" : `The page shows the state of ${at}.`} It keeps trying.`;
  drawNotice();
}

/** That the state is not known, or else why the last action was refused. */
function drawNotice() {
  const notice = byId("notice");
  const text = view.outage || view.refusal;
  notice.hidden = text === "";
  if (notice.textContent !== text) notice.textContent = text;
}

async function refreshTimeline() {
  if (!byId("timeline").open) return;
  try {
    await drawTimeline();
  } catch (error) {
    // Its cell may be one that does not respond, which the page says; everything else continues.
    if (!(error instanceof ApiError) || view.overview.unreachable_cells.length === 0) throw error;
  }
}

async function drawTimeline() {
  const id = view.opened;
  const body = byId("timeline-body");
  try {
    const data = await call(`v1/status/uploads/${id}`);
    if (view.opened === id) draw(body, timeline(data, now()));
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    draw(body,
      h("h2", { id: "timeline-title" }, "The record of this upload is gone"),
      h("p", {}, "Records of ended uploads are kept for a day by default. What it became, if anything, is a content."),
      h("p", { class: "controls" }, h("button", { type: "button", "data-action": "close" }, "Close")));
  }
}

async function openTimeline(id) {
  view.opened = id;
  await drawTimeline();
  const dialog = byId("timeline");
  if (view.opened === id && !dialog.open) dialog.showModal();
}

/** Ask before something is destroyed. */
function confirmed(title, text, action) {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = action;
  dialog.showModal();
  return new Promise((resolve) => { view.answer = resolve; });
}

function answered(yes) {
  byId("confirm").close();
  view.answer(yes);
}

const ACTIONS = {
  open: ({ id }) => openTimeline(id),
  close: () => byId("timeline").close(),
  more: () => uploads.more(),
  filter: async ({ status }) => {
    byId("status").value = uploads.query.status === status ? "" : status;
    await search();
    byId("h-uploads").scrollIntoView({ block: "start" });
  },
  pause: () => {
    view.paused = !view.paused;
    const button = document.querySelector("[data-action=pause]");
    button.textContent = view.paused ? "Continue" : "Pause";
    button.setAttribute("aria-pressed", String(view.paused));
    if (view.paused) clearTimeout(timer);
    live(true);
    return view.paused ? null : refresh();
  },
  "sign-out": () => {
    clearTimeout(timer);
    signOut();
    location.reload();
  },
  cancel: async ({ id, name }) => {
    if (!(await confirmed(`Cancel ${name}?`, "What has been received is removed. The client is refused from now on.", "Cancel the upload"))) return;
    await call(`v1/uploads/${id}`, "DELETE");
    say(`${name} is cancelled.`);
  },
  delete: async ({ id, name }) => {
    if (!(await confirmed(`Delete ${name}?`, "The object, its metadata and its thumbnail are removed for good.", "Delete the content"))) return;
    await call(`v1/contents/${id}`, "DELETE");
    view.ready = null;
    say(`${name} is deleted.`);
  },
  retry: async ({ id, stage }) => {
    const { retried, state } = await call(`v1/status/uploads/${id}/stages/${stage}/retry`, "POST");
    say(retried ? `${stage} runs now.` : `${stage} did not pause: it is ${state}.`);
  },
};
const CHANGES = new Set(["cancel", "delete", "retry"]);

function say(text) {
  byId("said").textContent = text;
}

async function search() {
  const query = {};
  for (const [name, id] of [["search", "q"], ["status", "status"], ["owner", "owner"]]) {
    const value = byId(id).value.trim();
    if (value) query[name] = value;
  }
  await uploads.search(query);
  if (view.overview !== null) draw(byId("statuses"), statuses(view.overview, query.status));
}

/** What a person asked for: an error is shown, and the page continues. */
async function act(work) {
  view.refusal = "";
  try {
    await work();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401 || error.status === 403) failed(error);
    else {
      view.refusal = error.message;
      byId("notice").scrollIntoView({ block: "nearest" });
    }
  } finally {
    drawNotice();
  }
}

document.addEventListener("click", (event) => {
  const answer = event.target.closest("[data-answer]");
  if (answer) answered(answer.dataset.answer === "yes");
  const button = event.target.closest("[data-action]");
  if (!button) return;
  const { action } = button.dataset;
  act(async () => {
    await ACTIONS[action](button.dataset);
    if (!CHANGES.has(action)) return;
    uploads.readAt = -Infinity;
    await refresh();
  });
});
byId("confirm").addEventListener("cancel", () => answered(false));
byId("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(byId("key").value);
  byId("key").value = "";
  byId("sign-in-error").textContent = "";
  refresh();
});
byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  act(search);
});
byId("status").addEventListener("change", () => act(search));
document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (document.visibilityState === "visible" && !view.paused && !byId("board").hidden) refresh();
});
draw(byId("status"), h("option", { value: "" }, "every status"), STATUSES.map((status) => h("option", { value: status }, status)));
uploads.pages = 1;
refresh();

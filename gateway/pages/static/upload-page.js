/**
 * The page /upload: takes files, shows each upload, and continues unfinished ones after a reload.
 *
 * It knows the server only through `sluice-client.js`. What a screen reader announces are changes of an upload's state,
 * never its bytes.
 */

import { dropCredential, keepCredential, takeCredential } from "./credential.js";
import { SluiceClient, SluiceError } from "./sluice-client.js";
import { Card } from "./upload-card.js";
import { chosenFiles, droppedFiles, pickWithHandles, reopened } from "./upload-files.js";
import { adviceFor, badge, bytes, describeUnfinished, needsSignIn, plural, roughly, signInAdvice, summary } from "./upload-words.js";

const LOOK_AGAIN_MILLISECONDS = 2000;

const $ = (id) => document.getElementById(id);
const endpoint = new URL(".", location.href).href.replace(/\/$/, "");

let credential = takeCredential();
const client = new SluiceClient({ endpoint, credential: () => credential });
/** @type {Card[]} */
const cards = [];
let askedFor = null; // the card whose file is being chosen again
const saidOf = new WeakMap();

start();

async function start() {
  listen();
  if (await isAccepted()) await open();
  document.documentElement.dataset.drawn = "yes";
}

/** Whether the server accepts the credential, or needs none; else the sign-in form is shown. */
async function isAccepted() {
  try {
    const headers = credential ? { Authorization: `Bearer ${credential}` } : {};
    const response = await fetch(`${endpoint}/v1/uploads?limit=1`, { headers, credentials: "omit" });
    if (response.status !== 401) return true;
    signIn(credential ? (await codeOf(response)) : null);
    return false;
  } catch {
    return true; // the server is unavailable, which says nothing about the credential
  }
}

/** The code of the server's error; a proxy in front may have sent another response. */
async function codeOf(response) {
  const body = await response.json().catch(() => null);
  return body?.error?.code ?? "CREDENTIAL_INVALID";
}

/** Ask for a credential; `code`: why that of this tab is refused. */
function signIn(code) {
  $("sign-in").hidden = false;
  $("drop").hidden = cards.length === 0;
  if (code) {
    $("sign-in-why").textContent = signInAdvice(code, stopped().length);
    $("sign-in-why").className = "bad";
  }
  $("credential").focus();
}

/** Cards whose uploads continue after the person has signed in. */
function stopped() {
  return cards.filter((card) => card.chosen && needsSignIn(card.upload?.error));
}

async function open() {
  $("sign-in").hidden = true;
  $("drop").hidden = false;
  $("sign-out").hidden = credential === null;
  for (const record of await client.unfinished()) await restore(record);
  // The page before this one may have ended a moment ago, and its uploads seemed to run in another tab.
  setTimeout(async () => {
    for (const record of await client.unfinished()) await restore(record);
  }, LOOK_AGAIN_MILLISECONDS);
}

/** Show an upload that an earlier page left: continue it if its file or nothing but time is needed. */
async function restore(record) {
  if (cards.some((card) => card.upload?.fingerprint === record.id || card.record?.id === record.id)) return;
  const view = await client.look(record);
  const file = record.handle ? await reopened(record.handle, false) : null;
  if (view?.status === "ready" || (view?.status === "processing" && view.missing_segments.length === 0)) {
    add(record.filename, record.path).follow(client.follow(record));
  } else if (file) {
    continueWith(add(record.filename, record.path), record, file);
  } else {
    const card = add(record.filename, record.path);
    card.record = { ...record, ...describeUnfinished(record, view) };
    card.draw();
    summarize();
  }
}

function continueWith(card, record, file) {
  try {
    card.chosen = { file, path: record.path, handle: record.handle };
    card.follow(client.continue(record, file));
  } catch (error) {
    card.record = record;
    card.notice = error;
    card.draw();
    say(`${card.name}: ${adviceFor(error)}`);
  }
  summarize();
}

function add(name, path) {
  const card = new Card({ name, path }, { onAction: act, onChange: changed });
  cards.push(card);
  $("list").append(card.element);
  summarize();
  return card;
}

function take(files) {
  if (files.length === 0) return;
  for (const chosen of files) {
    const { file, path, handle } = chosen;
    const known = cards.find((card) => card.record && matches(card.record, file, path));
    if (known) {
      continueWith(known, known.record, file);
      continue;
    }
    const card = add(file.name, path);
    card.chosen = chosen;
    begin(card, { file, path, handle });
  }
  say(`${plural(files.length, "file")} added.`);
}

function begin(card, { file, path, handle }) {
  try {
    card.notice = null;
    card.follow(client.upload(file, { path, handle }));
  } catch (error) {
    card.notice = error instanceof SluiceError ? error : new SluiceError("UNEXPECTED", String(error));
    card.draw();
    say(`${card.name}: ${adviceFor(card.notice)}`);
  }
  summarize();
}

function matches(record, file, path) {
  return record.size === file.size && record.lastModified === file.lastModified && record.filename === file.name &&
    (!path || record.path === path);
}

async function act(action, card) {
  const { upload } = card;
  switch (action) {
    case "pause":
      return upload.pause();
    case "resume":
      return upload.resume();
    case "cancel":
      return upload.cancel();
    case "retry":
      return begin(card, card.chosen);
    case "copy":
      await navigator.clipboard?.writeText(upload.content.id).catch(() => {});
      return say(`Content id ${upload.content.id} copied.`);
    case "discard":
      await client.discard(card.record ?? { id: upload.fingerprint, uploadId: upload.id, token: upload.token });
      return remove(card);
    case "remove":
      return remove(card);
    case "again":
      return chooseAgain(card);
  }
}

async function chooseAgain(card) {
  const record = card.record ?? (await client.unfinished()).find(({ id }) => id === card.upload.fingerprint);
  if (!record) return remove(card);
  card.record = record;
  const file = record.handle ? await reopened(record.handle, true) : null;
  if (file) return continueWith(card, record, file);
  askedFor = card;
  $("again").click();
}

function remove(card) {
  const next = cards[cards.indexOf(card) + 1] ?? cards[cards.indexOf(card) - 1];
  cards.splice(cards.indexOf(card), 1);
  card.remove();
  summarize();
  (next?.element.querySelector("button") ?? $("choose-files")).focus();
}

/** An upload has changed: announce a new state once. */
function changed(card) {
  const [word] = badge(card.upload);
  if (saidOf.get(card.upload) !== word) {
    saidOf.set(card.upload, word);
    const { error } = card.upload;
    if (error) say(`${card.name}: ${adviceFor(error)}`);
    else if (word !== "Uploading") say(`${card.name}: ${word}.`);
    if (needsSignIn(error)) signIn(error.code);
  }
  summarize();
}

let sayings = [];
function say(text) {
  sayings.push(text);
  if (sayings.length > 1) return;
  setTimeout(() => {
    $("said").textContent = sayings.join(" ");
    sayings = [];
  }, 300);
}

function summarize() {
  const by = (state) => cards.filter((card) => card.state === state);
  const [running, ready, failed, paused] = [by("running"), by("ready"), by("failed"), by("paused")];
  $("uploads").hidden = cards.length === 0;
  $("drop").classList.toggle("small-drop", cards.length > 0);
  $("summary").textContent = summary(ready.length, cards.length, failed.map((card) => card.word));
  const active = [...running, ...paused].map((card) => card.upload);
  const [sent, total] = [sum(active, "bytesSent"), sum(active, "bytesTotal")];
  const rate = sum(active, "rate");
  $("total").textContent = active.length === 0 ? "" :
    [`${bytes(sent)} of ${bytes(total)}`, rate > 0 && `${bytes(rate)}/s`, rate > 0 && sent < total && `${roughly((total - sent) / rate)} left`]
      .filter(Boolean).join(" · ");
  $("pause-all").hidden = running.length === 0;
  $("resume-all").hidden = paused.length === 0;
  $("clear").hidden = ready.length + failed.length === 0;
  document.title = `${active.length > 0 && total > 0 ? `${Math.floor((100 * sent) / total)} % · ` : ""}Upload · Sluice`;
}

const sum = (uploads, field) => uploads.reduce((total, upload) => total + (upload[field] ?? 0), 0);

function listen() {
  $("choose-folder").hidden = !("webkitdirectory" in $("folder"));
  $("sign-in").addEventListener("submit", async (event) => {
    event.preventDefault();
    credential = $("credential").value.trim();
    $("credential").value = "";
    if (!(await isAccepted())) return;
    keepCredential(credential);
    await open();
    for (const card of stopped()) begin(card, card.chosen);
    $("choose-files").focus();
  });
  $("sign-out").addEventListener("click", async () => {
    const active = cards.filter(({ state }) => state === "running" || state === "paused");
    if (active.length > 0 && !confirm(`Signing out cancels ${plural(active.length, "upload")}.`)) return;
    await Promise.all(active.map(({ upload }) => upload.cancel()));
    for (const record of await client.unfinished()) await client.discard(record);
    dropCredential();
    location.reload();
  });
  $("choose-files").addEventListener("click", async () => {
    const chosen = await pickWithHandles().catch(() => []);
    if (chosen === null) $("files").click();
    else take(chosen);
  });
  $("choose-folder").addEventListener("click", () => $("folder").click());
  $("files").addEventListener("change", () => take(chosenFiles($("files"))));
  $("folder").addEventListener("change", () => take(chosenFiles($("folder"))));
  $("again").addEventListener("change", () => {
    const [chosen] = chosenFiles($("again"));
    if (chosen && askedFor?.record) continueWith(askedFor, askedFor.record, chosen.file);
    askedFor = null;
  });
  $("pause-all").addEventListener("click", () => each("pause"));
  $("resume-all").addEventListener("click", () => each("resume"));
  $("clear").addEventListener("click", () => {
    for (const card of cards.filter(({ state }) => state === "ready" || state === "failed")) remove(card);
  });
  addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    $("over").hidden = $("drop").hidden;
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) $("over").hidden = true;
  });
  addEventListener("drop", async (event) => {
    event.preventDefault();
    $("over").hidden = true;
    if (!$("drop").hidden) take(await droppedFiles(event.dataTransfer));
  });
  addEventListener("beforeunload", (event) => {
    if (cards.some((card) => card.state === "running" && card.upload.isSending)) event.preventDefault();
  });
}

function each(action) {
  for (const card of cards) if (card.state === "running" || card.state === "paused") card.upload[action]();
}

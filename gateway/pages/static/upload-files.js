/**
 * Files that a person drops or chooses, with their paths in folders.
 *
 * Where the browser has FileSystemFileHandle (Chromium), it is kept with the upload: after a reload the page opens the
 * file again, after one question of the browser. Elsewhere the person chooses the file again.
 */

/** @typedef {{file: File, path: string, handle?: FileSystemFileHandle}} Chosen */

/** Files of a drop. Call it within the event: the items are gone afterwards. @returns {Promise<Chosen[]>} */
export async function droppedFiles(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const found = await Promise.all(items.map((item) => {
    const entry = item.webkitGetAsEntry?.();
    if (entry?.isDirectory) return filesBelow(entry);
    const file = item.getAsFile();
    const handle = item.getAsFileSystemHandle?.().catch(() => undefined) ?? Promise.resolve(undefined);
    return handle.then((found) => (file ? [{ file, path: "", handle: found }] : []));
  }));
  return found.flat().filter(({ file }) => !isHidden(file.name));
}

/** Files of an <input type="file">. @returns {Chosen[]} */
export function chosenFiles(input) {
  const files = [...input.files].map((file) => ({ file, path: file.webkitRelativePath }));
  input.value = "";
  return files.filter(({ file }) => !isHidden(file.name));
}

/** Opens the browser's picker with handles; null where it has none. Rejects with AbortError when it is closed. */
export async function pickWithHandles() {
  if (!globalThis.showOpenFilePicker) return null;
  const handles = await globalThis.showOpenFilePicker({ multiple: true });
  return Promise.all(handles.map(async (handle) => ({ file: await handle.getFile(), path: "", handle })));
}

/** The file of a kept handle. `asks`: a person has just pressed a button, so the browser may ask. Null: not permitted. */
export async function reopened(handle, asks) {
  try {
    const mode = { mode: "read" };
    const state = asks ? await handle.requestPermission(mode) : await handle.queryPermission(mode);
    return state === "granted" ? await handle.getFile() : null;
  } catch {
    return null;
  }
}

async function filesBelow(directory) {
  const reader = directory.createReader();
  const found = [];
  // readEntries returns at most 100 entries at a time in Chromium, and none at the end.
  for (;;) {
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)).catch(() => []);
    if (entries.length === 0) return found;
    for (const entry of entries) {
      if (entry.isDirectory) {
        found.push(...(await filesBelow(entry)));
      } else {
        const file = await new Promise((resolve, reject) => entry.file(resolve, reject)).catch(() => null);
        if (file) found.push({ file, path: entry.fullPath.replace(/^\//, "") });
      }
    }
  }
}

/** Files that systems put into folders by themselves. */
function isHidden(name) {
  return name.startsWith(".") || name === "Thumbs.db" || name === "desktop.ini";
}

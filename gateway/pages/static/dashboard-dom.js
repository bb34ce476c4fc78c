/**
 * Drawing without flicker: elements are described anew and compared with those that are shown. What has not changed stays
 * as it is, so focus, selection, scroll positions and open details survive every refresh. Text is only ever set as text.
 */

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "g", "rect", "path", "line", "title", "defs", "pattern"]);

/** An element. `attributes`: null and false are left out, true has no value; `key` identifies it among its siblings. */
export function h(tag, attributes = {}, ...children) {
  const element = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name === "key" ? "data-key" : name, value === true ? "" : String(value));
  }
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** Make `shown` have these children. */
export function draw(shown, ...children) {
  const wanted = document.createElement("div");
  for (const child of children.flat(3)) if (child !== null && child !== undefined && child !== false) wanted.append(child);
  patchChildren(shown, wanted);
}

function patch(shown, wanted) {
  for (const { name } of [...shown.attributes]) {
    if (!wanted.hasAttribute(name) && !KEPT.has(name)) shown.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  }
  patchChildren(shown, wanted);
}

/** What the reader of the page or a script has changed. */
const KEPT = new Set(["open", "src"]);

function patchChildren(shown, wanted) {
  const keyed = new Map();
  for (const child of shown.children) if (child.dataset?.key) keyed.set(child.dataset.key, child);
  let next = shown.firstChild;
  for (const want of [...wanted.childNodes]) {
    const match = want.dataset?.key ? keyed.get(want.dataset.key) : next;
    if (match && isLike(match, want)) {
      if (match === next) next = next.nextSibling;
      else shown.insertBefore(match, next);
      if (want.nodeType === Node.TEXT_NODE) {
        if (match.data !== want.data) match.data = want.data;
      } else patch(match, want);
    } else shown.insertBefore(want, next);
  }
  while (next) {
    const following = next.nextSibling;
    next.remove();
    next = following;
  }
}

function isLike(shown, want) {
  if (shown.nodeName !== want.nodeName) return false;
  return want.nodeType === Node.TEXT_NODE || shown.dataset?.key === want.dataset?.key;
}

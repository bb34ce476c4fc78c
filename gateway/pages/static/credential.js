/**
 * The credential of a page: an API key or a permit, for this tab only.
 *
 * It comes from the sign-in form or from the URL's fragment (`#key=...`, `#permit=...`), which no server receives. The
 * fragment is removed from the address bar and from the history entry before anything else runs. It is kept in
 * sessionStorage: it survives a reload and ends with the tab. A link with another credential that is opened in this tab
 * does not load the page anew by itself, so the page does.
 */

const NAME = "sluice.credential";

/** The credential of this tab, or null. Call it once when the page starts. */
export function takeCredential() {
  moveFromFragment();
  addEventListener("hashchange", () => {
    if (moveFromFragment()) location.reload();
  });
  return read();
}

/** Whether the fragment held a credential; it is kept, and no longer in the address bar. */
function moveFromFragment() {
  const given = new URLSearchParams(location.hash.slice(1));
  const found = given.get("key") ?? given.get("permit");
  if (found === null) return false;
  history.replaceState(history.state, "", location.pathname + location.search);
  if (found) keepCredential(found);
  return found !== "";
}

/** Keep a credential for this tab. */
export function keepCredential(credential) {
  try {
    sessionStorage.setItem(NAME, credential);
  } catch {
    // Storage may be off; then the page asks again after a reload.
  }
  kept = credential;
}

/** Forget the credential of this tab. */
export function dropCredential() {
  kept = null;
  try {
    sessionStorage.removeItem(NAME);
  } catch {
    // As above.
  }
}

let kept = null;

function read() {
  try {
    return sessionStorage.getItem(NAME) ?? kept;
  } catch {
    return kept;
  }
}

import { useEffect, useReducer, useRef, useState } from "react";
import { SluiceClient } from "sluice-client";

/**
 * Lets a person choose files, and uploads them. A file that is chosen again after a reload continues where it was.
 * `endpoint`: address of the gateway; `getPermit`: returns a permit for one upload; `onReady`: receives each content.
 * Change the `key` of the component if they change.
 */
export function SluiceUpload({ endpoint, getPermit, onReady }) {
  const [uploads, setUploads] = useState([]);
  const client = useRef(null);
  useEffect(() => {
    client.current = new SluiceClient({ endpoint, credential: getPermit });
    return () => client.current.close();
  }, []);

  function begin(file) {
    const upload = client.current.upload(file);
    upload.done.then(onReady, () => {}); // the row shows the error
    return upload;
  }
  const again = (failed) => setUploads(uploads.map((each) => (each === failed ? begin(failed.file) : each)));
  return (
    <>
      <label>
        Files{" "}
        <input type="file" multiple accept="video/*,image/*,audio/*"
          onChange={({ target }) => setUploads([...uploads, ...[...target.files].map(begin)])} />
      </label>
      <ul>
        {uploads.map((upload, place) => <Row key={place} upload={upload} again={() => again(upload)} />)}
      </ul>
    </>
  );
}

function Row({ upload, again }) {
  const [, draw] = useReducer((count) => count + 1, 0);
  useEffect(() => {
    for (const type of ["change", "progress", "end"]) upload.addEventListener(type, draw);
    return () => ["change", "progress", "end"].forEach((type) => upload.removeEventListener(type, draw));
  }, [upload]);
  return (
    <li>
      <b>{upload.filename}</b>
      <progress value={upload.bytesSent} max={upload.bytesTotal} />
      <output>{describe(upload)}</output> {upload.error && <button onClick={again}>Try again</button>}
    </li>
  );
}

function describe({ error, content, problem, status, view, bytesSent, bytesTotal }) {
  if (error) return error.message;
  if (content) return `Ready: ${content.id}`;
  if (problem) return `${problem.error.message} The upload continues by itself.`;
  if (status === "waiting") return `Waits for room on the server, place ${view.queue_position ?? "unknown"}`;
  if (bytesSent < bytesTotal) return `${Math.floor((100 * bytesSent) / bytesTotal)} % sent`;
  return "Everything is sent. The server finishes the file.";
}

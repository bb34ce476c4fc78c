// A page with Uppy as an application uses it: only options and events of its documentation. What it does is told to the page's own
// origin, and so are the moments at which the test interrupts it: after part 1 the gateway dies and starts again, after part 2 the
// page is loaded again.
import AwsS3 from "@uppy/aws-s3";
import Uppy from "@uppy/core";

const told = { parts: [], errors: [], loads: Number(sessionStorage.getItem("loads") ?? 0) + 1 };
sessionStorage.setItem("loads", told.loads);

const ask = (what) => fetch(`/do/${what}`, { method: "POST" });

async function run() {
  const { endpoint } = await (await fetch("/options")).json();
  const uppy = new Uppy({ id: "page" }).use(AwsS3, { companionEndpoint: endpoint, shouldUseMultipart: true, limit: 1 });
  const data = await (await fetch("/sample")).blob();
  const id = uppy.addFile({ name: "from Uppy.mp4", type: "video/mp4", data });
  const known = sessionStorage.getItem("s3Multipart");
  if (known) uppy.setFileState(id, { s3Multipart: JSON.parse(known) }); // as @uppy/golden-retriever does
  else uppy.setFileMeta(id, { album: "Ferien" });

  const ended = new Promise((resolve) => {
    uppy.on("upload-success", (file, response) => resolve(response));
    uppy.on("upload-error", (file, error) => {
      told.errors.push(error.message);
      ask("start").then(() => uppy.retryAll());
    });
    uppy.on("s3-multipart:part-uploaded", (file, part) => {
      told.parts.push(part.PartNumber);
      if (part.PartNumber === 1) {
        uppy.pauseAll();
        ask("kill").then(() => uppy.resumeAll());
      } else if (part.PartNumber === 2) {
        uppy.pauseAll();
        sessionStorage.setItem("s3Multipart", JSON.stringify(uppy.getFile(id).s3Multipart));
        sessionStorage.setItem("told", JSON.stringify(told));
        location.reload();
      }
    });
  });
  uppy.upload();
  told.response = await ended;
}

run().catch((error) => { told.failed = String(error); }).finally(() => {
  const before = JSON.parse(sessionStorage.getItem("told") ?? "null");
  fetch("/told", { method: "POST", body: JSON.stringify({ ...told, before }) });
});

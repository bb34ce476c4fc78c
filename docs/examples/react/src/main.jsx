import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { SluiceUpload } from "./SluiceUpload.jsx";

const gateway = "https://upload.example"; // its SLUICE_CORS_ORIGINS names the origin of this page
const getPermit = async () => (await fetch("/permit", { method: "POST" })).text(); // your backend: POST /v1/permits

createRoot(document.getElementById("root")).render(
  <StrictMode>
    <h1>Upload videos and pictures</h1>
    <SluiceUpload endpoint={gateway} getPermit={getPermit} onReady={(content) => console.log(content.links)} />
  </StrictMode>,
);

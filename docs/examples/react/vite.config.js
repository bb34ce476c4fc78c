import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  optimizeDeps: { exclude: ["sluice-client"] }, // its worker is a file beside the module
  server: { fs: { allow: [".", "../../../gateway/pages/client"] } }, // where package.json finds sluice-client
});

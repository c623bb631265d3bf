import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// Where `npm run dev` finds the web server.
const WEB_SERVER = process.env.WEB_SERVER ?? "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react()],
  server: { port: 3000, proxy: { "/api": { target: WEB_SERVER, ws: true } } },
  // Everything is a file of its own: a `data:` address would need a hole in the content security policy.
  build: { assetsInlineLimit: 0, target: "es2022" },
  worker: { format: "es" },
  test: { include: ["src/**/*.test.{ts,tsx}"], environment: "node" },
});

import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

// Where `npm run dev` finds the web server.
const WEB_SERVER = process.env.WEB_SERVER ?? "http://127.0.0.1:8000";

/** Styles behind the opening words, which are so painted without waiting for them; scripts still wait. */
const stylesBehindOpening: Plugin = {
  name: "styles-behind-opening",
  transformIndexHtml: {
    order: "post",
    handler(html) {
      const links = html.match(/ *<link rel="stylesheet"[^>]*>\n/g) ?? [];
      const without = links.reduce((rest, link) => rest.replace(link, ""), html);
      return without.replace(/(<div id="root">.*<\/div>\n)/, (root) => root + links.join(""));
    },
  },
};

export default defineConfig({
  plugins: [react(), stylesBehindOpening],
  server: { port: 3000, proxy: { "/api": { target: WEB_SERVER, ws: true } } },
  // Everything is a file of its own: a `data:` address would need a hole in the content security policy.
  build: { assetsInlineLimit: 0, target: "es2022" },
  worker: { format: "es" },
  test: { include: ["src/**/*.test.{ts,tsx}"], environment: "node" },
});

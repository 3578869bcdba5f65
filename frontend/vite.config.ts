import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

const server = "http://127.0.0.1:8022";

export default defineConfig({
  plugins: [svelte()],
  base: "/",
  build: {
    outDir: "../static",
    emptyOutDir: true,
    target: "es2022",
    // Browsers that know light-dark(), so that it is not rewritten.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // The content policy forbids inline scripts, and data: only for images.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    // xterm.js alone is about 400 kB; one file is fetched faster than three.
    chunkSizeWarningLimit: 1000,
  },
  server: {
    proxy: { "/api": { target: server, ws: true, changeOrigin: true } },
  },
  test: { include: ["tests/**/*.test.ts"] },
});

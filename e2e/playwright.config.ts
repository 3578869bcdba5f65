import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "tests",
  globalSetup: "./support/announce.ts",
  // One server and one browser: the tests share a small machine with an engine.
  workers: 1,
  fullyParallel: false,
  retries: 0,
  timeout: 45_000,
  globalTimeout: 1_200_000,
  expect: { timeout: 15_000 },
  forbidOnly: Boolean(process.env.CI),
  reporter: [["list"]],
  use: {
    viewport: { width: 1000, height: 640 },
    colorScheme: "dark",
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: process.env.SHELLPORT_CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.mjs"],
    globalSetup: ["test/support/global-setup.mjs"],
    // Each file runs a server of its own; two at a time fill two cores.
    maxWorkers: 2,
    // A lost answer must fail a test at last; no promise of the product is a time.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    reporters: process.env.CI ? ["verbose"] : ["default"],
  },
});

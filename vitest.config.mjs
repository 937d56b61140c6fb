import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.mjs"],
    globalSetup: ["test/support/global-setup.mjs"],
    // Each file runs a server of its own. One at a time: published clients give up after a few
    // seconds, so what they promise is tested on a machine that is not busy with another file.
    fileParallelism: false,
    // A lost answer must fail a test at last; no promise of the product is a time.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    reporters: process.env.CI ? ["verbose"] : ["default"],
  },
});

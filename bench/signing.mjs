/**
 * Signing over NIP-46, end to end, with the same app code against two bunkers on
 * this machine: Passport (two of three shares, embedded relay, all in workerd)
 * and a single-key bunker behind a plain relay. Rounds alternate, so that what
 * else the machine does falls on both. Started by scripts/bench.mjs.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { arch, cpus, platform, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { built } from "../scripts/setup/build.mjs";
import { kib } from "../scripts/setup/bundle.mjs";
import { cliProgram, quickstart } from "../scripts/setup/cli.mjs";
import { applyMigrations } from "../scripts/setup/d1.mjs";
import { startDevServer } from "../scripts/setup/dev-server.mjs";
import { inRoot } from "../scripts/setup/paths.mjs";
import { say } from "../scripts/setup/process.mjs";
import { ensureVars } from "../scripts/setup/vars.mjs";
import { freePort } from "../test/support/server.mjs";
import { connectApp, figures, sample } from "./measure.mjs";

/** Pairs of rounds; one more before them warms both up and is not counted. */
const ROUNDS = 8;
/** Signatures in a round of each kind. */
const PER_ROUND = { 1: 40, 8: 80 };

const folder = mkdtempSync(join(tmpdir(), "passport-bench-"));
const ends = [];
try {
  const passport = await startPassport();
  const relay = await startChild("relay.mjs");
  const single = await startChild("single-key-bunker.mjs", relay);
  const apps = { passport: await connectApp(passport), single_key: await connectApp(single) };
  const samples = await measure(apps);
  report(samples);
} finally {
  for (const end of ends.reverse()) await end();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0); // nostr-tools keeps its sockets open

/** @returns {Promise<string>} a bunker URL */
async function startPassport() {
  const state = join(folder, "state");
  const envFile = join(folder, "secrets.env");
  await applyMigrations(process.execPath, state);
  ensureVars(envFile);
  const output = openSync(join(folder, "server.log"), "a");
  const server = startDevServer({ node: process.execPath, port: await freePort(), worker: built("product"), state, envFile, output });
  ends.push(() => server.stop());
  await server.ready();
  return (await quickstart(cliProgram("release"), server.url, folder)).bunker_url;
}

/** Starts one of the programs here and returns the line it prints when it is ready. */
async function startChild(script, ...args) {
  const child = spawn(process.execPath, [inRoot("bench", script), ...args], { stdio: ["pipe", "pipe", "inherit"] });
  ends.push(() => child.kill());
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) {
    child.stdout.resume();
    return line;
  }
  throw new Error(`${script} ended before it was ready`);
}

async function measure(apps) {
  const samples = { passport: { 1: [], 8: [] }, single_key: { 1: [], 8: [] } };
  for (let round = 0; round <= ROUNDS; round++) {
    // Who goes first alternates too.
    const order = round % 2 ? ["single_key", "passport"] : ["passport", "single_key"];
    for (const inFlight of [1, 8]) {
      for (const name of order) {
        const one = await sample(apps[name], PER_ROUND[inFlight], inFlight);
        if (round > 0) samples[name][inFlight].push(one);
      }
    }
    say(round ? `  round ${round} of ${ROUNDS}` : "  warmed up");
  }
  return samples;
}

function report(samples) {
  const bundle = JSON.parse(process.env.PASSPORT_BUNDLE);
  const results = Object.fromEntries(
    Object.entries(samples).map(([name, kinds]) => [
      name,
      { in_flight_1: figures(kinds[1]), in_flight_8: figures(kinds[8]) },
    ]),
  );
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, platform: `${platform()}-${arch()}`, node: process.versions.node };
  const output = { at: new Date().toISOString(), machine, rounds: ROUNDS, results, bundle };
  mkdirSync(inRoot("bench", "output"), { recursive: true });
  writeFileSync(inRoot("bench", "output", "signing.json"), `${JSON.stringify(output, null, 2)}\n`);

  const rows = [["", "in flight", "p50", "p95", "signatures/s"]];
  for (const [name, label] of [["passport", "Passport, 2-of-3, embedded relay"], ["single_key", "single key, NDK bunker, plain relay"]]) {
    for (const inFlight of [1, 8]) {
      const { p50_ms, p95_ms, signatures_per_s } = results[name][`in_flight_${inFlight}`];
      rows.push([label, String(inFlight), `${p50_ms.toFixed(1)} ms`, `${p95_ms.toFixed(1)} ms`, signatures_per_s.toFixed(0)]);
    }
  }
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  say("");
  for (const row of rows) say(row.map((cell, column) => (column ? cell.padStart(widths[column]) : cell.padEnd(widths[column]))).join("  "));
  say(`\nDeployed bundle: ${kib(bundle.raw_bytes)} raw, ${kib(bundle.gzip_bytes)} gzipped.  Written to bench/output/signing.json`);
}

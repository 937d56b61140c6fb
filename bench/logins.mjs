/**
 * What a sign-in costs the Worker: its time on workerd, and the memory that scrypt takes there. Run it after
 * `npm run build`: `node bench/logins.mjs`.
 */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { arch, cpus, platform } from "node:os";
import { built } from "../scripts/setup/build.mjs";
import { inRoot } from "../scripts/setup/paths.mjs";
import { say } from "../scripts/setup/process.mjs";
import { Device } from "../test/support/device.mjs";
import { withServer } from "./scratch-server.mjs";

/** Sign-ins of each kind that are counted. */
const TIMES = 40;
/** How many at once, to see what memory that takes. */
const AT_ONCE = 8;
const MIB = 1024 * 1024;

const metered = { entry: inRoot("bench", "metered", "entry.mjs"), wasmSha256: built("product").wasmSha256 };
report(await withServer(metered, measure));

async function measure(server) {
  const memory = async () => Number((await fetch(`${server.url}/healthz`)).headers.get("x-wasm-memory-bytes"));
  const before = { wasm: await memory(), rss: rss(server) };
  const people = await Promise.all(Array.from({ length: 4 }, () => Device.signedIn(server)));
  const signIn = await timed((n) => expectStatus(people[n % people.length].signIn(), 200));
  const one = { wasm: await memory(), rss: rss(server) };
  const began = performance.now();
  await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => people[n % people.length].signIn()));
  const together_ms = performance.now() - began;
  return { before, one, after: { wasm: await memory(), rss: rss(server) }, signIn, together_ms };
}

async function timed(act) {
  const times = [];
  for (let n = 0; n < TIMES; n += 1) {
    const at = performance.now();
    await act(n);
    times.push(performance.now() - at);
  }
  return times.sort((a, b) => a - b);
}

async function expectStatus(asked, status) {
  const answer = await asked;
  if (answer.status !== status) throw new Error(`${answer.status} ${answer.text}`);
}

/** The most memory that workerd ever had, and what it has now, in bytes. */
function rss(server) {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      const group = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /, "").split(" ")[2];
      if (Number(group) !== server.pid || !/^Name:\s+workerd/m.test(status)) continue;
      return Number(status.match(/^VmHWM:\s+(\d+)/m)[1]) * 1024;
    } catch {
      // It has ended meanwhile.
    }
  }
  return null;
}

function report({ before, one, after, signIn, together_ms }) {
  const at = (share) => Math.round(signIn[Math.min(signIn.length - 1, Math.floor(share * signIn.length))]);
  const mib = (bytes) => (bytes === null ? "unknown" : `${(bytes / MIB).toFixed(1)} MiB`);
  const figures = {
    sign_in_ms: { p50: at(0.5), p95: at(0.95), least: at(0) },
    together: { at_once: AT_ONCE, ms: Math.round(together_ms) },
    wasm_memory_bytes: { before: before.wasm, after_one_by_one: one.wasm, after_at_once: after.wasm },
    workerd_peak_rss_bytes: { before: before.rss, after_one_by_one: one.rss, after_at_once: after.rss },
  };
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, platform: `${platform()}-${arch()}`, node: process.versions.node };
  mkdirSync(inRoot("bench", "output"), { recursive: true });
  writeFileSync(inRoot("bench", "output", "logins.json"), `${JSON.stringify({ at: new Date().toISOString(), machine, figures }, null, 2)}\n`);
  say(`sign-in, from asking to the tokens: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms (${signIn.length} one by one); ${AT_ONCE} at once: ${Math.round(together_ms)} ms`);
  say(`WASM memory of the Worker: ${mib(before.wasm)} before, ${mib(one.wasm)} after sign-ins one by one, ${mib(after.wasm)} after ${AT_ONCE} at once`);
  say(`workerd's peak RSS: ${mib(before.rss)} before, ${mib(one.rss)}, ${mib(after.rss)}`);
  say("Written to bench/output/logins.json");
}

/**
 * What it takes to make a key, and new shares of one, on workerd: with the server's own holders, as the page does it,
 * and among people with a command-line client each, who share it with the server's bunker. Run it after `npm run build` and with the client built:
 * `node bench/ceremonies.mjs`.
 */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { arch, cpus, platform } from "node:os";
import { join } from "node:path";
import { spawn } from "node:child_process";
import { built } from "../scripts/setup/build.mjs";
import { cliProgram } from "../scripts/setup/cli.mjs";
import { inRoot } from "../scripts/setup/paths.mjs";
import { run, say } from "../scripts/setup/process.mjs";
import { Participant } from "../test/support/participant.mjs";
import { withServer } from "./scratch-server.mjs";

/** Keys of each kind that are made. */
const TIMES = 20;
/** Keys that people share, who look again now and then. */
const TIMES_AMONG = 3;
const ANSWERS = { PASSPORT_PASSWORD: "a password for tests only", PASSPORT_KIT_PASSPHRASE: "a passphrase for tests only" };

const figures = await withServer(built("product"), measure, { LOGIN_LIMITS: "wide" });
const machine = { cpu: cpus()[0]?.model, cores: cpus().length, platform: `${platform()}-${arch()}`, node: process.versions.node };
mkdirSync(inRoot("bench", "output"), { recursive: true });
const report = { at: new Date().toISOString(), machine, figures };
writeFileSync(inRoot("bench", "output", "ceremonies.json"), `${JSON.stringify(report, null, 2)}\n`);
for (const [what, { p50_ms, p95_ms, round_trips }] of Object.entries(figures)) {
  const trips = round_trips ? `, ${round_trips} round trips` : "";
  say(`${what.replaceAll("_", " ")}: p50 ${p50_ms} ms, p95 ${p95_ms} ms${trips}`);
}
say("Written to bench/output/ceremonies.json");

async function measure(server, folder) {
  const person = await Participant.signedIn(server);
  const hosted = await withHolders(person, "hosted");
  const device = await withHolders(person, "device");
  const renewal = await renewed(person);
  const among = {};
  for (const [threshold, size] of [[2, 3], [3, 5]]) {
    const members = [];
    for (let n = 1; n < size; n++) members.push(await member(server, folder, `m${threshold}${size}${n}`));
    const times = [];
    for (let n = 0; n < TIMES_AMONG; n++) times.push(await together(threshold - 1, members));
    among[`bunker_and_people_${threshold}_of_${size}`] = percentiles(times);
  }
  return { hosted_2_of_3: hosted, device_custody_2_of_3: device, renewal_hosted: renewal, ...among };
}

/** From the start to the identity. */
async function withHolders(person, custody) {
  const times = [];
  let round_trips = 0;
  for (let n = 0; n < TIMES; n++) {
    const began = performance.now();
    await person.start(custody);
    round_trips = (await person.finish()) + 1;
    const { created } = await person.create();
    times.push(performance.now() - began);
    if (created.status !== 201) throw new Error(created.text);
  }
  return { ...percentiles(times), round_trips };
}

/** New shares of one hosted identity, again and again. */
async function renewed(person) {
  await person.start();
  await person.finish();
  const { group } = await person.create();
  const times = [];
  let round_trips = 0;
  for (let n = 0; n < TIMES; n++) {
    const began = performance.now();
    round_trips = await person.renew(group);
    times.push(performance.now() - began);
  }
  return { ...percentiles(times), round_trips };
}

async function member(server, folder, name) {
  const home = mkdtempSync(join(folder, "home-"));
  const env = { ...ANSWERS, PASSPORT_HOME: home };
  const made = await run(cliProgram("debug"), ["register", name, "--server", server.url, "--json"], { cwd: home, env });
  return { home, env, owner: JSON.parse(made).owner_pubkey };
}

/** From when the last one comes until the last one has the share, and the owner the key. */
async function together(signers, [first, ...others]) {
  const args = ["ceremony", "start", "--signers", String(signers), ...others.flatMap((it) => ["--with", it.owner])];
  const starter = spawn(cliProgram("debug"), args, { cwd: first.home, env: { ...process.env, ...first.env }, stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise((resolve) => starter.on("close", resolve));
  const id = await new Promise((resolve, reject) => {
    let text = "";
    starter.stderr.setEncoding("utf8").on("data", (part) => {
      text += part;
      const found = /ceremony join ([0-9a-f]{32})/.exec(text);
      if (found) resolve(found[1]);
    });
    starter.on("close", () => reject(new Error(text)));
  });
  const began = performance.now();
  const join_ = (it) => run(cliProgram("debug"), ["ceremony", "join", id, "--yes"], { cwd: it.home, env: it.env });
  await Promise.all([ended, ...others.map(join_)]);
  return performance.now() - began;
}

function percentiles(times) {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]);
  return { times: sorted.length, p50_ms: at(0.5), p95_ms: at(0.95) };
}

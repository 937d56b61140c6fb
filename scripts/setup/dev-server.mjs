/**
 * One `wrangler dev` with its children, as a thing that is started, awaited and
 * ended. It runs in a process group of its own, so that nothing of it is left
 * over: wrangler starts a second Node.js, workerd and esbuild.
 */
import { spawn } from "node:child_process";
import { connect } from "node:net";
import { ROOT, inRoot } from "./paths.mjs";
import { SetupError } from "./process.mjs";
import { WRANGLER_ENV, devArgs } from "./wrangler.mjs";

/** How long the first answer may take, in milliseconds; workerd compiles the module meanwhile. */
const START_LIMIT_MS = 90_000;
/** Pause between two looks at a starting server, in milliseconds. */
const POLL_MS = 100;
/** How long an orderly end may take before the group is killed, in milliseconds. */
const STOP_LIMIT_MS = 8_000;

/**
 * @typedef {object} DevServer
 * @property {string} url
 * @property {number} pid also the id of the process group
 * @property {Promise<number|null>} exited the exit code, when it has ended
 * @property {() => Promise<Response>} ready resolves with the first answer of `/healthz`
 * @property {() => Promise<void>} stop orderly end
 * @property {() => Promise<void>} kill end as by a power cut: every process of the group at once
 */

/**
 * Starts a server; does not wait for it.
 * @param {Parameters<typeof devArgs>[0] & {node: string, output?: "inherit"|number}} options
 *   `output` is where its log goes: this terminal, or an open file
 * @returns {DevServer}
 */
export function startDevServer({ node, output = "inherit", ...server }) {
  const child = spawn(node, devArgs(server), {
    cwd: ROOT,
    env: { ...process.env, ...WRANGLER_ENV },
    stdio: ["ignore", output, output],
    detached: true,
  });
  const url = `http://127.0.0.1:${server.port}`;
  let ended = false;
  const exited = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => {
      ended = true;
      resolve(code);
    });
  });
  const keeper = keep(node, child.pid);
  const kill = async () => {
    keeper.kill();
    signalGroup(child.pid, "SIGKILL");
    await exited;
  };
  const stop = async () => {
    if (!ended) {
      child.kill("SIGTERM");
      await Promise.race([exited, pause(STOP_LIMIT_MS)]);
    }
    await kill(); // whatever is left of the group
  };
  return { url, pid: child.pid, exited, ready: () => firstAnswer(url, () => ended), stop, kill };
}

/**
 * Fails with advice when a port is taken.
 * @param {number} port
 */
export async function requireFreePort(port) {
  const taken = await new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
  if (taken) {
    throw new SetupError(
      `Port ${port} is in use by another program.`,
      `End that program, or choose another port: PORT=${port + 1} npm start`,
    );
  }
}

/** @param {number} ms */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function firstAnswer(url, hasEnded) {
  const limit = Date.now() + START_LIMIT_MS;
  while (Date.now() < limit && !hasEnded()) {
    try {
      return await fetch(`${url}/healthz`);
    } catch {
      await pause(POLL_MS); // not listening yet
    }
  }
  throw new Error(hasEnded() ? "wrangler dev ended while starting; its log says why." : `No answer from ${url} in ${START_LIMIT_MS / 1000} s.`);
}

/** Watches over a group from outside, for the case that this process is killed. */
function keep(node, group) {
  const keeper = spawn(node, [inRoot("scripts/setup/keeper.mjs"), String(group)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  keeper.unref();
  keeper.stdin.unref();
  return keeper;
}

function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (error.code !== "ESRCH") throw error; // nobody is left: fine
  }
}

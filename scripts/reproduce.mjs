/**
 * `npm run reproduce`: builds the product's Worker twice, in two fresh clones of HEAD, and compares what is uploaded. The
 * clones share cargo's registry, the tools and nothing else; their folders have names of different lengths, so that a
 * path in the result shows.
 *
 * Out of scope: another machine. Whoever doubts a deployment runs this on theirs and compares with `GET /version`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SetupError, main, probe, run, say, step } from "./setup/process.mjs";
import { ROOT } from "./setup/paths.mjs";
import { PARTS, buildTwice } from "./reproduce/twice.mjs";

await main(async () => {
  if (process.argv.length > 2) throw new SetupError(`Unknown argument ${process.argv[2]}.`, "npm run reproduce");
  const commit = (await probe("git", ["rev-parse", "HEAD"], { cwd: ROOT }))?.trim();
  if (!commit) throw new SetupError("This is no git clone.", "Clone the repository, and run this there.");
  const isClean = !(await run("git", ["status", "--porcelain", "--untracked-files=no"], { cwd: ROOT })).trim();
  say(`Commit ${commit}${isClean ? "" : "; what is not committed is not in it"}`);

  const folder = mkdtempSync(join(tmpdir(), "passport-reproduce-"));
  let keep = false;
  try {
    const outcomes = await buildTwice({ commit, folder, build: buildIn });
    for (const part of PARTS) {
      const [first, second] = outcomes.map((hashes) => hashes[part]);
      say(first === second ? `✓ ${part}  sha256 ${first}, twice` : `✗ ${part}  sha256 ${first}\n  ${" ".repeat(part.length)}     and ${second}`);
      keep ||= first !== second;
    }
  } finally {
    if (!keep) rmSync(folder, { recursive: true, force: true });
  }
  if (keep) say(`Both results are in ${folder}`);
  return keep ? 1 : 0;
});

/** Builds with the clone's own scripts, as a person there would. */
function buildIn(clone, which) {
  // Where this clone builds is not where the others do.
  const env = { CARGO_TARGET_DIR: undefined, RUSTFLAGS: undefined };
  const program = join(clone, "scripts", "reproduce", "worker.mjs");
  return step(`Building the Worker in the ${which} clone (about 5 minutes)`, () => run(process.execPath, [program], { cwd: clone, env }));
}

/**
 * Checks the alerts with the promtool that `PROMTOOL` names: they are valid, each fires and stays quiet as its tests say,
 * what they look at is what the Worker gives out in a form that Prometheus reads, and each has its words in the README.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const read = (...path) => readFileSync(join(HERE, ...path), "utf8");

const failures = [];
const alerts = read("alerts.yml");
const tests = read("alerts.test.yml");
const readme = read("README.md");
const families = read("..", "src", "metrics", "series.rs");

promtool(["check", "rules", "alerts.yml"]);
promtool(["test", "rules", "alerts.test.yml"]);
promtool(["check", "metrics"], read("..", "src", "metrics", "golden.txt"));

for (const name of new Set(alerts.match(/\bpassport_[a-z_]+/g))) {
  if (!families.includes(`"${name.replace(/_bucket$/, "")}"`)) failures.push(`No metric is called ${name}.`);
}
for (const [, name] of alerts.matchAll(/- alert: (\w+)/g)) {
  const anchor = name.toLowerCase();
  if (!alerts.includes(`runbook: ops/README.md#${anchor}\n`)) failures.push(`${name} names no section of the README.`);
  if (!new RegExp(`^### ${name}$`, "m").test(readme)) failures.push(`The README has no section ${name}.`);
  const cases = tests.split(/^ {2}- name: /m).filter((test) => test.includes(`alertname: ${name}\n`));
  if (!cases.some((test) => test.includes("exp_labels:"))) failures.push(`No test has ${name} fire.`);
  if (!cases.some((test) => test.includes("exp_alerts: []"))) failures.push(`No test has ${name} stay quiet.`);
}

for (const failure of failures) console.error(`✗ ${failure}`);
process.exitCode = failures.length ? 1 : 0;

function promtool(args, input) {
  const { status, error } = spawnSync(process.env.PROMTOOL, args, { cwd: HERE, input, stdio: ["pipe", "inherit", "inherit"] });
  if (status !== 0) failures.push(`promtool ${args.join(" ")}: ${error?.message ?? `exited with code ${status}`}`);
}

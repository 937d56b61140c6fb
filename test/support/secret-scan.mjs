/**
 * After a whole run: no secret of any server that a test started, and no token or key of any person or operator, is in
 * what a server printed or stored: logs with their audit lines, objects' storage, D1, and copies of records.
 * `node test/support/secret-scan.mjs` looks at the last run's output.
 */
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { OUTPUT } from "./folders.mjs";

/** What a token or a key looks like, wherever it came from. */
const FORMS = [
  ["a refresh token", /prt_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])/],
  ["an operator's token", /pop_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])/],
  ["a secret key", /nsec1[02-9ac-hj-np-z]{58}/],
  ["a private key", /-----BEGIN [A-Z ]*PRIVATE KEY-----/],
  ["an access token", /\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{40,}/],
  ["a bunker's secret", /bunker:\/\/[0-9a-f]{64}\?[^\s"]*secret=/],
];
/** What stands among a server's secrets in tests and says only which key, where and as whom. */
const PUBLIC = /^HSM_(PROVIDER|\w+_(KEY_ID|KEY_ARN|ALGORITHM|TENANT_ID|CLIENT_ID|ACCESS_KEY_ID|AUTHORITY|ENDPOINT)|GOOGLE_(BUNKER|COSIGNER)_KEY)(_PREVIOUS)?$/;
/**
 * What the development tools note for themselves: the address of each request, also of those in which a test sends a token
 * where none belongs, to see that the Worker says nothing of it.
 */
const OF_THE_TOOLS = { line: /^\[wrangler:.*$/gm, folder: join("state", "v3", "observability") };
/** Shorter or plainer values are those of tests of what is refused. */
const MIN_LENGTH = 16;
const MIN_DISTINCT = 8;

const servers = existsSync(OUTPUT) ? readdirSync(OUTPUT).filter((name) => name.startsWith("server-")).map((name) => join(OUTPUT, name)) : [];
let bytes = 0;
const found = servers.flatMap((folder) => {
  const secrets = secretsOf(join(folder, "secrets.env"));
  const looked = files(folder).filter((file) => !file.endsWith("secrets.env") && !file.startsWith(join(folder, OF_THE_TOOLS.folder)));
  return looked.flatMap((file) => {
    const content = readFileSync(file).toString("latin1").replace(file.endsWith(".log") ? OF_THE_TOOLS.line : "", "");
    bytes += content.length;
    const named = secrets.filter(([, form]) => content.includes(form)).map(([name]) => name);
    const formed = FORMS.filter(([, form]) => form.test(content)).map(([name]) => name);
    return [...new Set([...named, ...formed])].map((what) => `${what} in ${relative(OUTPUT, file)}`);
  });
});

console.log(`${found.length ? "✗" : "✓"} Secrets in what ${servers.length} servers printed and stored (${Math.round(bytes / 1e6)} MB): ${found.length || "none"}`);
for (const line of found.slice(0, 50)) console.log(`  ${line}`);
if (found.length) process.exitCode = 1;

/** Each secret of a server, as text and as the bytes that it stands for. */
function secretsOf(file) {
  if (!existsSync(file)) return [];
  return [...readFileSync(file, "utf8").matchAll(/^([A-Z0-9_]+)=(.+)$/gm)].flatMap(([, name, text]) => {
    const value = text.trim().replace(/^(['"])(.*)\1$/s, "$2");
    if (PUBLIC.test(name) || value.length < MIN_LENGTH || new Set(value).size < MIN_DISTINCT) return [];
    const raw = /^[0-9a-f]{64}$/.test(value) ? [Buffer.from(value, "hex").toString("latin1"), Buffer.from(value, "hex").toString("base64")] : [];
    return [value, ...raw].map((form) => [name, form]);
  });
}

function files(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? files(path) : [path];
  });
}

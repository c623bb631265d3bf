// Says how much JavaScript a page loads, gzipped, and fails when the first page has become too heavy.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const LIMIT_KB = 250; // what login and the choice of a tutor may take: a second on a slow phone's network

const dist = resolve(dirname(fileURLToPath(import.meta.url)), "../dist");
const assets = resolve(dist, "assets");
const kb = (path) => gzipSync(readFileSync(path), { level: 9 }).length / 1000;

// What index.html names is loaded at once; of the rest, each page takes its own when it is opened.
const html = readFileSync(resolve(dist, "index.html"), "utf8");
const named = [...html.matchAll(/assets\/([\w.-]+\.js)/g)].map((match) => match[1]);
const scripts = readdirSync(assets).filter((name) => name.endsWith(".js"));
const first = new Set([...named, ...scripts.filter((name) => /^(LoginPage|TutorsPage)-/.test(name))]);

let sum = 0;
for (const name of scripts.sort()) {
  const size = kb(resolve(assets, name));
  if (first.has(name)) sum += size;
  console.log(`${first.has(name) ? "first" : "later"}  ${size.toFixed(1).padStart(7)} kB  ${name}`);
}
console.log(
  `Login and the choice of a tutor: ${sum.toFixed(1)} kB of JavaScript, gzipped (at most ${LIMIT_KB}).`,
);
if (sum > LIMIT_KB) process.exit(1);

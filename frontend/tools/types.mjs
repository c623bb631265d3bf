// Writes src/wire/schema.json from the Python side, and src/wire/generated.ts from that.
// Needs the project's Python environment: PYTHON names another one.

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { typesOf } from "./wire-types.mjs";

const frontend = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const project = resolve(frontend, "..");
const python = process.env.PYTHON ?? resolve(project, ".venv/bin/python");

const schema = execFileSync(python, ["-m", "wire.schema"], { cwd: project, encoding: "utf8" });
writeFileSync(resolve(frontend, "src/wire/schema.json"), schema);
writeFileSync(resolve(frontend, "src/wire/generated.ts"), await typesOf(JSON.parse(schema)));

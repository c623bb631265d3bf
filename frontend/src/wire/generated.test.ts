import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
// @ts-expect-error: a tool without types
import { typesOf } from "../../tools/wire-types.mjs";

const kept = (name: string) => readFileSync(resolve(import.meta.dirname, name), "utf8");

test("the types are those of the schema: after a change, `npm run types`", async () => {
  expect(kept("generated.ts")).toBe(await typesOf(JSON.parse(kept("schema.json"))));
});

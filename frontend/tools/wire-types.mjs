import { compile } from "json-schema-to-typescript";

const BANNER = "// Made by `npm run types` from the engine's own definitions (wire/). Not to be edited.";

/** TypeScript of every definition of a JSON Schema. */
export async function typesOf(schema) {
  return compile(schema, "Wire", {
    additionalProperties: false,
    bannerComment: BANNER,
    unreachableDefinitions: true,
    format: false,
  });
}

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { expect, test } from "vitest";

const SOURCE = resolve(import.meta.dirname, "..");
const MANTINE = resolve(SOURCE, "../node_modules/@mantine/core");
const FOR_ALL = ["baseline", "default-css-variables", "global"];

/** What the page takes from Mantine by name: components, and what has no styles. */
function taken(): string[] {
  const files = readdirSync(SOURCE, { recursive: true, encoding: "utf8" });
  return files
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => readFileSync(resolve(SOURCE, name), "utf8"))
    .flatMap((text) => [...text.matchAll(/import (?:type )?\{([^}]*)\} from "@mantine\/core"/g)])
    .flatMap((match) => (match[1] ?? "").split(","))
    .map((name) => name.trim().replace(/^type /, ""));
}

/** The styles of a module and of all that it imports: each stands in a module of its own. */
function styles(file: string, seen: Set<string>): string[] {
  if (seen.has(file)) return [];
  seen.add(file);
  const own = file.match(/(\w+)\.module\.mjs$/)?.[1];
  const others = [...readFileSync(file, "utf8").matchAll(/from "(\.[^"]+)"/g)].flatMap((match) =>
    styles(resolve(dirname(file), match[1] ?? ""), seen),
  );
  return own ? [own, ...others] : others;
}

function needed(): string[] {
  const seen = new Set<string>();
  return taken().flatMap((name) => {
    const places = [`${name}/${name}`, `${name}/${name}/${name}`];
    const file = places.map((place) => resolve(MANTINE, `esm/components/${place}.mjs`)).find(existsSync);
    return file ? styles(file, seen) : [];
  });
}

/** Where the styles of a component begin in the sheet that holds all: its order is the cascade's. */
function place(name: string): number {
  const sheet = readFileSync(resolve(MANTINE, `styles/${name}.layer.css`), "utf8");
  const [first] = sheet.match(/m_[0-9a-f]+/) ?? [""];
  return readFileSync(resolve(MANTINE, "styles.layer.css"), "utf8").indexOf(first);
}

test("the styles of each component that is used are there, in Mantine's order, and no others", () => {
  const listed = [
    ...readFileSync(resolve(SOURCE, "theme/mantine.ts"), "utf8").matchAll(/styles\/([\w-]+)\.layer\.css/g),
  ].map((match) => match[1]);
  const wanted = [...new Set(needed())].sort((one, other) => place(one) - place(other));
  expect(wanted).toContain("Button");
  expect(listed).toEqual([...FOR_ALL, ...wanted]);
});

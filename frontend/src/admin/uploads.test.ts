import { describe, expect, test, vi } from "vitest";
import type { Progress } from "./sending";
import { type Order, Uploads } from "./uploads";

interface Delivery {
  path: string;
  progress: Progress;
  signal: AbortSignal;
  arrive: (answer: unknown) => void;
  fail: (error: unknown) => void;
}

/** Uploads to a server that the test plays. */
function desk(): { uploads: Uploads; sent: Delivery[]; at: (place: number) => Delivery } {
  const sent: Delivery[] = [];
  const uploads = new Uploads((path, _file, progress, signal) => {
    return new Promise((arrive, fail) => sent.push({ path, progress, signal, arrive, fail }));
  });
  const at = (place: number) => {
    const delivery = sent[place];
    if (!delivery) throw new Error(`nothing was sent at ${place}`);
    return delivery;
  };
  return { uploads, sent, at };
}

function order(name: string, done: (answer: unknown) => void = () => {}): Order {
  return { target: "kb", name, path: `/${name}`, file: new Blob(["x"]), done };
}

describe("uploads", () => {
  test("go two at a time, in their order, and tell how far they are", async () => {
    const { uploads, sent, at } = desk();
    const done = vi.fn();
    for (const name of ["a", "b", "c"]) uploads.add(order(name, done));
    expect(sent.map(({ path }) => path)).toEqual(["/a", "/b"]);
    at(0).progress(0.5);
    expect(uploads.list().map(({ name, state, part }) => [name, state, part])).toEqual([
      ["a", "sending", 0.5],
      ["b", "sending", 0],
      ["c", "queued", 0],
    ]);
    at(0).arrive({ name: "a" });
    await vi.waitFor(() => expect(sent.map(({ path }) => path)).toEqual(["/a", "/b", "/c"]));
    expect(done).toHaveBeenCalledWith({ name: "a" });
    expect(uploads.list().map(({ name }) => name)).toEqual(["b", "c"]);
  });

  test("that are refused keep their reason and make room, and can be tried again", async () => {
    const { uploads, sent, at } = desk();
    for (const name of ["a", "b", "c"]) uploads.add(order(name));
    at(0).fail(new Error("too large"));
    await vi.waitFor(() => expect(sent).toHaveLength(3));
    const [first] = uploads.list();
    expect(first).toMatchObject({ name: "a", state: "refused", error: new Error("too large") });
    uploads.retry(first?.id ?? 0);
    expect(uploads.list()[0]).toMatchObject({ state: "queued", error: null });
    at(1).arrive(null);
    await vi.waitFor(() => expect(sent.map(({ path }) => path)).toEqual(["/a", "/b", "/c", "/a"]));
  });

  test("that are dropped are stopped", () => {
    const { uploads, at } = desk();
    const heard = vi.fn();
    uploads.subscribe(heard);
    uploads.add(order("a"));
    uploads.dropAll();
    expect(at(0).signal.aborted).toBe(true);
    expect(uploads.list()).toEqual([]);
    expect(heard).toHaveBeenCalled();
  });

  test("that would be refused are not sent, unless somebody wants to see it", () => {
    const { uploads, sent } = desk();
    uploads.add({ ...order("a"), refused: new Error("too large") });
    expect(uploads.list()).toMatchObject([{ state: "refused", error: new Error("too large") }]);
    expect(sent).toEqual([]);
    uploads.retry(uploads.list()[0]?.id ?? 0);
    expect(sent).toHaveLength(1);
  });
});

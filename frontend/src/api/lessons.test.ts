import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createLesson, endLesson, lessonOf, openLesson } from "./lessons";

/** A web server of so many lines, in the place of `fetch`. */
interface Asked {
  method: string;
  path: string;
}

type Answer = [status: number, body: unknown];

let asked: Asked[] = [];
const kept = new Map<string, string>();
const original = globalThis.fetch;

function serve(answers: (call: Asked) => Answer): void {
  globalThis.fetch = async (path, init) => {
    const call = { method: init?.method ?? "GET", path: String(path) };
    asked.push(call);
    const [status, body] = answers(call);
    return new Response(status === 204 ? null : JSON.stringify(body), { status });
  };
}

const CREATED = {
  session_id: "w1",
  engine_url: "ws://localhost:9000/ws/ws/e1",
  engine_token: "x",
  status: "active",
};

beforeEach(() => {
  asked = [];
  kept.clear();
  Object.assign(globalThis, {
    localStorage: {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => kept.set(key, value),
      removeItem: (key: string) => kept.delete(key),
    },
  });
});

afterEach(() => {
  globalThis.fetch = original;
});

describe("a lesson", () => {
  test("is known to the engine by the end of its address", () => {
    expect(lessonOf(CREATED)).toEqual({ id: "w1", engineId: "e1" });
  });

  test("is found again with what was said, by the same learner with the same tutor only", async () => {
    const messages = [{ message_id: 1, role: "user", content: "Hi", interrupted: false, created_at: "" }];
    serve(({ method, path }) => [
      200,
      method === "POST" ? CREATED : path.endsWith("/messages") ? messages : {},
    ]);
    expect(await openLesson(5, 2)).toBeNull();
    await createLesson(5, 2);
    expect(await openLesson(5, 2)).toEqual([{ id: "w1", engineId: "e1" }, messages]);
    expect(await openLesson(6, 2)).toBeNull();
    expect(await openLesson(5, 3)).toBeNull();
  });

  test("that has ended meanwhile is forgotten", async () => {
    serve(({ method }) => (method === "POST" ? [200, CREATED] : [404, { detail: "Session not found" }]));
    await createLesson(5, 2);
    expect(await openLesson(5, 2)).toBeNull();
    asked = [];
    expect(await openLesson(5, 2)).toBeNull();
    expect(asked).toEqual([]);
  });

  test("stays kept while the server is away", async () => {
    serve(({ method }) => (method === "POST" ? [200, CREATED] : [503, { detail: "The engine is away." }]));
    await createLesson(5, 2);
    await expect(openLesson(5, 2)).rejects.toMatchObject({ status: 503, message: "The engine is away." });
    expect(kept.size).toBe(1);
  });

  test("takes the place of those that were left behind when there are too many", async () => {
    const past = [
      { id: "old", status: "active" },
      { id: "over", status: "ended" },
    ];
    let created = 0;
    serve(({ method, path }) => {
      if (method === "POST") return created++ ? [200, CREATED] : [429, { detail: "Too many." }];
      return path.includes("conversations") ? [200, past] : [200, {}];
    });
    expect((await createLesson(5, 2)).id).toBe("w1");
    expect(asked.filter(({ method }) => method === "DELETE").map(({ path }) => path)).toEqual([
      "/api/student/sessions/old",
    ]);
  });

  test("that is ended gives its place back", async () => {
    serve(({ method }) => (method === "POST" ? [200, CREATED] : [204, null]));
    await endLesson(5, 2, await createLesson(5, 2));
    expect(asked.at(-1)).toEqual({ method: "DELETE", path: "/api/student/sessions/w1" });
    expect(kept.size).toBe(0);
  });
});

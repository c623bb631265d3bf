import { afterEach, describe, expect, test } from "vitest";
import { EventParser, follow } from "./events";

const STREAM = ': ping\r\n\r\nid: 1\r\ndata: {"a":1}\r\n\r\nevent: x\ndata:one\ndata:  two\n\n\ndata: half';

describe("events", () => {
  test("are found whole, without comments and other fields", () => {
    expect(new EventParser().push(STREAM)).toEqual(['{"a":1}', "one\n two"]);
  });

  test("are the same wherever the stream is cut", () => {
    const parser = new EventParser();
    expect([...STREAM].flatMap((letter) => parser.push(letter))).toEqual(['{"a":1}', "one\n two"]);
    expect(parser.push("\r")).toEqual([]);
    expect(parser.push("\n\r")).toEqual([]);
    expect(parser.push("\n")).toEqual(["half"]);
  });
});

describe("what is followed", () => {
  const original = globalThis.fetch;

  afterEach(() => {
    globalThis.fetch = original;
  });

  test("comes as values, also when a letter is cut in two", async () => {
    const bytes = new TextEncoder().encode('data: {"name":"课"}\n\n');
    const pieces = [bytes.slice(0, 16), bytes.slice(16)];
    const body = new ReadableStream({
      start(controller) {
        for (const piece of pieces) controller.enqueue(piece);
        controller.close();
      },
    });
    globalThis.fetch = async () => new Response(body);
    const told = [];
    for await (const value of follow("/x", new AbortController().signal)) told.push(value);
    expect(told).toEqual([{ name: "课" }]);
  });

  test("is refused with the server's sentence", async () => {
    globalThis.fetch = async () => Response.json({ detail: "There is none." }, { status: 404 });
    const first = follow("/x", new AbortController().signal).next();
    await expect(first).rejects.toMatchObject({ status: 404, message: "There is none." });
  });
});

import { useEffect, useRef } from "react";
import { follow } from "../events";

const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 30_000;

/** At once: a browser has six connections to a server, and other calls need some of them. */
export const FOLLOWED = 2;

/** Passes on what is told at this address for as long as it is shown; `over` each time that a stream ends. */
export function Follower<T>({
  path,
  told,
  over,
}: {
  path: string;
  told: (value: T) => void;
  over: () => void;
}) {
  const listeners = useRef({ told, over });
  useEffect(() => {
    listeners.current = { told, over };
  });
  useEffect(() => {
    const stop = new AbortController();
    void keepFollowing<T>(
      path,
      (value) => listeners.current.told(value),
      () => listeners.current.over(),
      stop.signal,
    );
    return () => stop.abort();
  }, [path]);
  return null;
}

async function keepFollowing<T>(
  path: string,
  told: (value: T) => void,
  over: () => void,
  signal: AbortSignal,
): Promise<void> {
  for (let pause = FIRST_PAUSE_MS; !signal.aborted; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      for await (const value of follow<T>(path, signal)) told(value);
    } catch {
      // Broken off, refused, or gone: whoever is shown this asks anew for how it is.
    }
    if (signal.aborted) return;
    over();
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

import { type RefObject, useEffect, useRef } from "react";

const FULL = 0.16; // RMS of a loud vowel; a meter's own scale ends at 1 and is cut here

/** Keeps `--level` (0 to 1) of an element at a loudness, outside of React: sixty times a second. */
export function useLevel<E extends HTMLElement>(read: () => number, full = FULL): RefObject<E | null> {
  const element = useRef<E>(null);
  useEffect(() => {
    let frame = 0;
    let shown = 0;
    const look = () => {
      const level = Math.min(1, read() / full);
      shown += (level - shown) * (level > shown ? 0.5 : 0.15); // rises with the voice, sinks calmly
      element.current?.style.setProperty("--level", shown.toFixed(2));
      frame = requestAnimationFrame(look);
    };
    look();
    return () => cancelAnimationFrame(frame);
  }, [read, full]);
  return element;
}

import { useEffect } from "react";
import type { Classroom } from "./classroom";

const OWN_SPACE = "input, textarea, select, button, a, [role=menuitem], [contenteditable]";

const OWN_ESCAPE = "[role=menu], [role=dialog], [aria-expanded=true]"; // which it closes

/** Esc interrupts; the space bar, where it is not for writing or pressing, is held to talk. */
export function useKeys(classroom: Classroom | null): void {
  useEffect(() => {
    if (!classroom) return;
    const down = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !isIn(event, OWN_ESCAPE)) classroom.interrupt();
      if (event.key !== " " || isIn(event, OWN_SPACE)) return;
      event.preventDefault();
      if (!event.repeat) void classroom.hold();
    };
    const up = (event: KeyboardEvent) => {
      if (event.key === " ") void classroom.letGo();
    };
    const letGo = () => void classroom.letGo();
    addEventListener("keydown", down);
    addEventListener("keyup", up);
    addEventListener("blur", letGo);
    return () => {
      removeEventListener("keydown", down);
      removeEventListener("keyup", up);
      removeEventListener("blur", letGo);
    };
  }, [classroom]);
}

function isIn(event: KeyboardEvent, places: string): boolean {
  return event.target instanceof Element && event.target.closest(places) !== null;
}

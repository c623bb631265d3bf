import type { ReactNode } from "react";
import classes from "./Parts.module.css";

export type Tone = "good" | "wait" | "bad" | "quiet";

/** How something is, in a word and a colour. */
export function State({ tone, children }: { tone: Tone; children: ReactNode }) {
  return (
    <span className={classes.state} data-tone={tone}>
      {children}
    </span>
  );
}

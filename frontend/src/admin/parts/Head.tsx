import type { ReactNode } from "react";
import classes from "./Parts.module.css";

/** What a page is about, and what can be done with all of it. */
export function Head({ title, hint, children }: { title: string; hint?: string; children?: ReactNode }) {
  return (
    <div className={classes.head}>
      <div>
        <h1>{title}</h1>
        {hint && <p className={classes.hint}>{hint}</p>}
      </div>
      {children && <div className={classes.actions}>{children}</div>}
    </div>
  );
}

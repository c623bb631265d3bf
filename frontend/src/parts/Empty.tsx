import type { ReactNode } from "react";
import classes from "./State.module.css";

/** There is nothing yet: what would be here, and how it comes. */
export function Empty({
  icon,
  title,
  hint,
  action,
}: {
  icon: ReactNode;
  title: string;
  hint: string;
  action?: ReactNode;
}) {
  return (
    <div className={classes.state}>
      {icon}
      <h2>{title}</h2>
      <p>{hint}</p>
      {action}
    </div>
  );
}

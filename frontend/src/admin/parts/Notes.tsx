import { Alert } from "@mantine/core";
import classes from "./Parts.module.css";

/** What the engine wants to have said, in its own words. */
export function Notes({ title, notes }: { title?: string; notes: readonly string[] }) {
  if (!notes.length) return null;
  return (
    <Alert color="yellow" variant="light" title={title} role="status">
      <ul className={classes.notes}>
        {notes.map((note) => (
          <li key={note}>{note}</li>
        ))}
      </ul>
    </Alert>
  );
}

import { Progress } from "@mantine/core";
import { useTranslation } from "react-i18next";
import classes from "./Parts.module.css";

/** How far something is, from 0 to 1. */
export function Bar({ part, label }: { part: number; label: string }) {
  const { i18n } = useTranslation();
  const percent = new Intl.NumberFormat(i18n.language, { style: "percent" });
  return (
    <div className={classes.progress}>
      <Progress value={part * 100} aria-label={label} radius="xl" />
      <span>{percent.format(part)}</span>
    </div>
  );
}

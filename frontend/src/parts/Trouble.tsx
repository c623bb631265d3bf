import { Button } from "@mantine/core";
import { CloudOff } from "lucide-react";
import { useTranslation } from "react-i18next";
import classes from "./State.module.css";
import { useSentence } from "./useSentence";

/** Something could not be loaded: why, and a way to try again. */
export function Trouble({ error, retry }: { error: unknown; retry: () => unknown }) {
  const { t } = useTranslation();
  const sentence = useSentence();
  return (
    <div className={classes.state} role="alert">
      <CloudOff size={36} aria-hidden />
      <p>{sentence(error)}</p>
      <Button variant="light" onClick={() => retry()}>
        {t("app.retry")}
      </Button>
    </div>
  );
}

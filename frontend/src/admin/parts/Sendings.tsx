import { Button } from "@mantine/core";
import { useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { useSentence } from "../../parts/useSentence";
import { type Upload, uploads } from "../uploads";
import { Bar } from "./Bar";
import classes from "./Parts.module.css";
import { State } from "./State";

/** The files that are on their way to this target, and those that were refused. */
export function Sendings({ target }: { target: string }) {
  const { t } = useTranslation("admin");
  const all = useSyncExternalStore(uploads.subscribe, uploads.list);
  const own = all.filter((upload) => upload.target === target);
  if (!own.length) return null;
  return (
    <ul className={classes.rows} aria-label={t("upload.label")}>
      {own.map((upload) => (
        <li key={upload.id}>
          <Sending upload={upload} />
        </li>
      ))}
    </ul>
  );
}

function Sending({ upload }: { upload: Upload }) {
  const { t } = useTranslation("admin");
  const sentence = useSentence();
  const isRefused = upload.state === "refused";
  return (
    <>
      <div className={classes.row}>
        <span className={classes.who}>{upload.name}</span>
        <State tone={isRefused ? "bad" : "wait"}>{t(`upload.${upload.state}`)}</State>
      </div>
      {upload.state === "sending" && (
        <Bar part={upload.part} label={t("upload.progress", { name: upload.name })} />
      )}
      {isRefused && <div role="alert">{sentence(upload.error)}</div>}
      <div className={classes.actions} style={{ marginTop: 8 }}>
        {isRefused && (
          <Button size="xs" variant="light" onClick={() => uploads.retry(upload.id)}>
            {t("upload.retry")}
          </Button>
        )}
        <Button size="xs" variant="default" onClick={() => uploads.drop(upload.id)}>
          {isRefused ? t("upload.dismiss") : t("upload.stop")}
        </Button>
      </div>
    </>
  );
}

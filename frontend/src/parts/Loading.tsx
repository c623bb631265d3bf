import { Loader } from "@mantine/core";
import { useTranslation } from "react-i18next";
import classes from "./State.module.css";

export function Loading() {
  const { t } = useTranslation();
  return (
    <div className={classes.state} role="status">
      <Loader type="dots" aria-hidden />
      <span className="unseen">{t("app.loading")}</span>
    </div>
  );
}

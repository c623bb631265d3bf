import { Button } from "@mantine/core";
import { Component, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Empty } from "./Empty";

/** Catches what no page has caught. */
export class Broken extends Component<{ children: ReactNode }, { isBroken: boolean }> {
  override state = { isBroken: false };

  static getDerivedStateFromError() {
    return { isBroken: true };
  }

  override render() {
    return this.state.isBroken ? <Apology /> : this.props.children;
  }
}

function Apology() {
  const { t } = useTranslation();
  const again = <Button onClick={() => location.reload()}>{t("app.reload")}</Button>;
  return <Empty icon={null} title={t("app.broken")} hint={t("app.brokenHint")} action={again} />;
}

import { Button } from "@mantine/core";
import { Compass } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { Empty } from "../parts/Empty";

export function NothingHere() {
  const { t } = useTranslation();
  const home = (
    <Button component={Link} to="/" variant="light">
      {t("app.home")}
    </Button>
  );
  return (
    <Empty
      icon={<Compass size={36} aria-hidden />}
      title={t("app.notFound")}
      hint={t("app.notFoundHint")}
      action={home}
    />
  );
}
